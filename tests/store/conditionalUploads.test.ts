/** Uploads on a condition, small and in parts, by the buckets that a store in S3 is not in: tests/aws has those of S3. */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { BlobBucket, blockBytesOf } from "../../infra/azure/blobBucket.ts";
import { CloudStorageBucket } from "../../infra/google/bucketObjects.ts";
import type { Bucket } from "../../infra/store/bucket.ts";
import { StrictContainer } from "../servers/blobContainer.ts";
import { StrictCloudBucket } from "../servers/cloudStorage.ts";

const mebibyte = 1024 * 1024;
const servers = new AsyncDisposableStack();
const buckets: Record<string, Bucket> = {};
let top: string;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "conditional-uploads-"));
  const google = servers.use(await StrictCloudBucket.start("images"));
  const azure = servers.use(await StrictContainer.start("images"));
  buckets.google = await CloudStorageBucket.open({
    ...{ bucket: "images", endpoint: google.proxy.url },
  });
  buckets.azure = await BlobBucket.open(azure.access);
});
afterAll(async () => {
  await servers.disposeAsync();
  await rm(top, { recursive: true, force: true });
});

it.each([
  ["google", 5],
  ["google", 9 * mebibyte],
  ["azure", 5],
  ["azure", 9 * mebibyte],
])(
  "at %s, of %i bytes, replace what was seen and nothing else",
  async (name, size) => {
    const bucket = buckets[name] ?? expect.fail();
    const key = `taken by ${size}`;
    const path = join(top, "file");
    await writeFile(path, randomBytes(size));
    const checksum = await bucket.checksumOf(path);
    const etag = (await bucket.write(key, "mine")) ?? "";
    expect(await bucket.upload(key, path, checksum, {}, "absent")).toBe(false);
    expect((await bucket.read(key))?.bytes.length).toBe(4);
    const condition = { etag };
    expect(await bucket.upload(key, path, checksum, {}, condition)).toBe(true);
    // As one whose answer was lost is sent again.
    expect(await bucket.upload(key, path, checksum, {}, condition)).toBe(true);
    await writeFile(path, "other");
    const other = await bucket.checksumOf(path);
    expect(await bucket.upload(key, path, other, {}, condition)).toBe(false);
    expect(await bucket.head(key)).toMatchObject({ sizeBytes: size, checksum });
  },
);

it("sends files of any size in at most 50,000 blocks", () => {
  expect(blockBytesOf(0)).toBe(8 * mebibyte);
  const sizeBytes = 400_000 * mebibyte + 1;
  expect(blockBytesOf(sizeBytes - 1)).toBe(8 * mebibyte);
  expect(blockBytesOf(sizeBytes)).toBe(9 * mebibyte);
});
