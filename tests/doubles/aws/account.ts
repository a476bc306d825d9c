/** An empty account at a moto of its own, and what programs of tests need to reach it. */

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CompleteSnapshotCommand,
  EBSClient,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from "@aws-sdk/client-ebs";
import { EC2Client } from "@aws-sdk/client-ec2";
import { IAMClient } from "@aws-sdk/client-iam";
import { S3Client } from "@aws-sdk/client-s3";
import { SSMClient } from "@aws-sdk/client-ssm";
import { AwsProxy } from "../../servers/awsProxy.ts";
import type { LocalServer } from "../../servers/localServer.ts";
import { startMoto } from "../../servers/moto.ts";
import { keptVariable } from "./cloud.ts";
import { ShownImages } from "./shownImages.ts";

/** Bytes of an EBS block. */
const blockBytes = 512 * 1024;

const credentials = { accessKeyId: "test", secretAccessKey: "test" };

/** Credentials, as programs find them in their environment. */
const credentialsEnv = {
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  // Without one, the credentials' chain looks for a metadata service.
  AWS_EC2_METADATA_DISABLED: "true",
};

/** moto, a proxy that shows its AMIs in full, and the stand-in's directory. Disposing of it ends the one and removes the other. */
export class TestAccount implements AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  /** Remembers the calls. */
  readonly proxy: AwsProxy;
  readonly #moto: LocalServer;

  private constructor(directory: string, moto: LocalServer, proxy: AwsProxy) {
    this.directory = directory;
    this.proxy = proxy;
    this.#moto = moto;
    this.url = proxy.url;
  }

  static async create(): Promise<TestAccount> {
    const directory = await mkdtemp(join(tmpdir(), "cloud-images-aws-"));
    const moto = await startMoto(directory);
    const rules = [new ShownImages(directory)];
    return new TestAccount(
      directory,
      moto,
      await AwsProxy.start(moto.url, rules),
    );
  }

  /** Variables for the engine: credentials, and where the stand-in keeps what moto drops. */
  get env(): Readonly<Record<string, string>> {
    return { ...credentialsEnv, [keptVariable]: this.directory };
  }

  /** Arguments of an aws.Provider for one region, as a program's text. */
  providerArgs(region: string): string {
    const services = ["ec2", "ssm", "iam", "s3", "sts"];
    return JSON.stringify({
      region,
      endpoints: [
        Object.fromEntries(services.map((service) => [service, this.url])),
      ],
      s3UsePathStyle: true,
      skipMetadataApiCheck: true,
    });
  }

  #settings(region: string) {
    return { region, endpoint: this.url, credentials };
  }

  ec2(region: string): EC2Client {
    return new EC2Client(this.#settings(region));
  }

  ssm(region: string): SSMClient {
    return new SSMClient(this.#settings(region));
  }

  iam(): IAMClient {
    return new IAMClient(this.#settings("us-east-1"));
  }

  s3(region: string): S3Client {
    return new S3Client({ ...this.#settings(region), forcePathStyle: true });
  }

  /** A completed snapshot of one block. */
  async makeSnapshot(region: string, text: string): Promise<string> {
    const ebs = new EBSClient(this.#settings(region));
    const { SnapshotId } = await ebs.send(
      new StartSnapshotCommand({ VolumeSize: 1 }),
    );
    const data = Buffer.alloc(blockBytes, text);
    await ebs.send(
      new PutSnapshotBlockCommand({
        SnapshotId,
        BlockIndex: 0,
        BlockData: data,
        DataLength: blockBytes,
        Checksum: createHash("sha256").update(data).digest("base64"),
        ChecksumAlgorithm: "SHA256",
      }),
    );
    await ebs.send(
      new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 1 }),
    );
    return SnapshotId as string;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#moto[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}
