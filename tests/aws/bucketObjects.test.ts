import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  BucketObjects,
  checksumOfFile,
  partBytesOf,
} from "../../infra/aws/bucketObjects.ts";
import { StoreError } from "../../infra/errors.ts";
import { refuse } from "../servers/awsFaults.ts";
import { StrictBucket } from "../servers/bucket.ts";

const mebibyte = 1024 * 1024;

let top: string;
let server: StrictBucket;
let client: S3Client;
let objects: BucketObjects;
const faults: (() => void)[] = [];

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "bucket-objects-"));
  server = await StrictBucket.start("bucket");
  client = server.client;
  objects = new BucketObjects(server.access);
});
afterEach(() => {
  for (const mend of faults.splice(0)) mend();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(top, { recursive: true, force: true });
});

async function unfinished(): Promise<number> {
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: "bucket" }),
  );
  return Uploads.length;
}

async function upload(key: string, bytes: Uint8Array): Promise<string> {
  const path = join(top, "file");
  await writeFile(path, bytes);
  const checksum = await checksumOfFile(path);
  await objects.upload(key, path, checksum, { metadata: { kept: "yes" } });
  return checksum;
}

describe("parts", () => {
  it("are so large that ten thousand of them hold any file", () => {
    expect(partBytesOf(0)).toBe(8 * mebibyte);
    expect(partBytesOf(80_000 * mebibyte)).toBe(8 * mebibyte);
    for (const sizeBytes of [80_000 * mebibyte + 1, 5 * 2 ** 40]) {
      const partBytes = partBytesOf(sizeBytes);
      expect(Math.ceil(sizeBytes / partBytes)).toBeLessThanOrEqual(10_000);
      expect(partBytes % mebibyte).toBe(0);
    }
  });
});

describe("an object", () => {
  it.each([
    ["of nothing", 0],
    ["in one part", 1000],
    ["of exactly a part", 8 * mebibyte],
    ["in several parts", 17 * mebibyte + 1],
  ])(
    "%s has the checksum of its file, and so has its copy",
    async (_, size) => {
      const bytes = randomBytes(size);
      const checksum = await upload("original", bytes);
      expect(await objects.copy("original", "dir/copy +1")).toBe(true);
      for (const key of ["original", "dir/copy +1"]) {
        const head = await objects.head(key);
        expect(head).toMatchObject({ sizeBytes: size, checksum });
        expect(head?.metadata).toEqual({ kept: "yes" });
        const found = await objects.read(key);
        expect(Buffer.compare(found?.bytes ?? Buffer.from("x"), bytes)).toBe(0);
      }
      expect(await unfinished()).toBe(0);
    },
  );

  it("that is not there has no copy", async () => {
    expect(await objects.copy("nothing", "copy")).toBe(false);
    expect(await objects.head("copy")).toBeUndefined();
  });

  it("that cannot be copied in whole is not copied at all", async () => {
    await upload("original", randomBytes(9 * mebibyte));
    const isPart = ({ headers }: { headers: Record<string, string> }) =>
      "x-amz-copy-source-range" in headers;
    faults.push(server.proxy.add(refuse(isPart, "AccessDenied", "No.", 403)));
    await expect(objects.copy("original", "half")).rejects.toThrow(StoreError);
    expect(await objects.head("half")).toBeUndefined();
    expect(await unfinished()).toBe(0);
  });

  it("is uploaded only where the condition holds", async () => {
    const path = join(top, "conditional");
    await writeFile(path, randomBytes(9 * mebibyte));
    const checksum = await checksumOfFile(path);
    await objects.write("taken", "mine");
    const etag = (await objects.head("taken"))?.etag ?? "";
    expect(await objects.upload("taken", path, checksum, {}, "absent")).toBe(
      false,
    );
    expect((await objects.read("taken"))?.bytes.length).toBe(4);
    expect(await unfinished()).toBe(0);
    const same = { etag };
    expect(await objects.upload("taken", path, checksum, {}, same)).toBe(true);
    await writeFile(path, "small");
    const other = await checksumOfFile(path);
    expect(await objects.upload("taken", path, other, {}, same)).toBe(false);
  });

  it("is found among more than a page has", async () => {
    const keys = ["many/1", "many/2", "many/3", "many/4", "many/5"];
    for (const key of keys) await objects.write(key, "");
    faults.push(
      server.proxy.add({
        matches: ({ parameters }) => parameters.get("list-type") === "2",
        act: (call, forward) =>
          forward({ ...call, path: `${call.path}&max-keys=2` }),
      }),
    );
    server.proxy.forget();
    expect(await objects.list("many/")).toEqual(keys);
    expect(server.proxy.calls).toHaveLength(3);
  });
});

it("ends the unfinished uploads of an object, and of no other", async () => {
  for (const Key of ["a", "a", "ab"]) {
    const upload = { Bucket: "bucket", Key };
    await client.send(new CreateMultipartUploadCommand(upload));
  }
  await objects.abortUploads("a");
  expect(await unfinished()).toBe(1);
  await objects.abortUploads("ab");
});
