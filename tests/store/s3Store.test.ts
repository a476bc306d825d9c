import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { BucketAccess } from "../../infra/aws/s3Failure.ts";
import { S3Store } from "../../infra/store/s3Store.ts";
import { makeBucket } from "../servers/bucket.ts";
import type { LocalServer } from "../servers/localServer.ts";
import { startMoto } from "../servers/moto.ts";
import { describeStore } from "./conformance.ts";

let serverDirectory: string;
let moto: LocalServer;
let access: BucketAccess;
let client: S3Client;

beforeAll(async () => {
  serverDirectory = await mkdtemp(join(tmpdir(), "s3-store-moto-"));
  moto = await startMoto(serverDirectory);
  ({ access, client } = await makeBucket(moto.url, "images"));
});
afterAll(async () => {
  await moto?.[Symbol.asyncDispose]();
  await rm(serverDirectory, { recursive: true, force: true });
});

let top: string;
let tests = 0;
let prefix: string;
let store: S3Store;

/** As another machine would open it: with a cache of its own. */
const open = (machine: string) =>
  new S3Store(
    { ...access, prefix },
    { cache: join(top, machine), leaseSeconds: 2 },
  );

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "s3-store-"));
  prefix = `test/${++tests}`;
  store = open("here");
});
afterEach(() => rm(top, { recursive: true, force: true }));

describeStore("a store in a bucket", async () => ({
  store,
  reopen: () => open("elsewhere"),
  alter: async (sha256) => {
    const key = { Bucket: access.bucket, Key: `${prefix}/artifacts/${sha256}` };
    const { Metadata } = await client.send(new GetObjectCommand(key));
    await client.send(
      new PutObjectCommand({
        ...{ ...key, Metadata },
        Body: "bad!",
        ChecksumAlgorithm: "SHA256",
      }),
    );
  },
}));
