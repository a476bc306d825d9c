/** A bucket on moto, behind a proxy that is strict where moto is not, and a way to meddle with it behind the program's back. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, type S3Client } from "@aws-sdk/client-s3";
import { s3Client } from "../../infra/aws/clients.ts";
import type { BucketAccess } from "../../infra/aws/s3Failure.ts";
import { AwsProxy } from "./awsProxy.ts";
import type { LocalServer } from "./localServer.ts";
import { startMoto } from "./moto.ts";
import { StrictS3 } from "./strictS3.ts";

/** Where all buckets of tests are. */
const region = "eu-central-1";

/** Any credentials will do for moto; no real ones are looked for. */
export function useTestCredentials(): void {
  process.env.AWS_ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE";
  process.env.AWS_SECRET_ACCESS_KEY =
    "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";
  process.env.AWS_EC2_METADATA_DISABLED = "true";
}

/** A new bucket, and a client for what tests do to it. */
export async function makeBucket(
  endpoint: string,
  bucket: string,
): Promise<{ readonly access: BucketAccess; readonly client: S3Client }> {
  useTestCredentials();
  const access = { bucket, region, endpoint };
  const client = s3Client(access);
  const LocationConstraint = access.region as "eu-central-1";
  await client.send(
    new CreateBucketCommand({
      Bucket: bucket,
      CreateBucketConfiguration: { LocationConstraint },
    }),
  );
  return { access, client };
}

/** The servers, with one bucket; disposing of them ends them, and removes what they kept. */
export class StrictBucket implements AsyncDisposable {
  readonly moto: LocalServer;
  readonly proxy: AwsProxy;
  /** Past the proxy. */
  readonly client: S3Client;
  /** Through the proxy. */
  readonly access: BucketAccess;
  readonly #directory: string;

  private constructor(
    servers: Pick<StrictBucket, "moto" | "proxy" | "client">,
    bucket: string,
    directory: string,
  ) {
    this.moto = servers.moto;
    this.proxy = servers.proxy;
    this.client = servers.client;
    this.access = { bucket, region, endpoint: servers.proxy.url };
    this.#directory = directory;
  }

  static async start(bucket: string): Promise<StrictBucket> {
    const directory = await mkdtemp(join(tmpdir(), "moto-bucket-"));
    const moto = await startMoto(directory);
    const proxy = await AwsProxy.start(moto.url, [new StrictS3(region)]);
    const { client } = await makeBucket(moto.url, bucket);
    return new StrictBucket({ moto, proxy, client }, bucket, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.moto[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
