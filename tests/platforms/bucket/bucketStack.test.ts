/**
 * A build job on one machine and a release on another, which have nothing in common but a bucket: the release by the real
 * engine, on moto, strictly stood before.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { s3Addresses } from "../../../infra/aws/bucketAddress.ts";
import { openBucketStore } from "../../../infra/store/openStore.ts";
import { EngineProject } from "../../engineProject.ts";
import { refuse } from "../../servers/awsFaults.ts";
import { StrictBucket } from "../../servers/bucket.ts";
import { anyCredentials } from "../../servers/strictAws.ts";

const image = "debian-13-tiny-amd64";
const version = "20261121-0312";
const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [{ at: 8 * mebibyte, content: randomBytes(mebibyte) }],
};

let server: StrictBucket;
let builder = "";
let project: EngineProject;

beforeAll(async () => {
  Object.assign(process.env, anyCredentials);
  server = await StrictBucket.start("images");
  builder = await mkdtemp(join(tmpdir(), "bucket-builder-"));
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});

afterAll(async () => {
  await project.remove();
  await server[Symbol.asyncDispose]();
  await rm(builder, { recursive: true, force: true });
});

it("publishes what the other one built, building nothing, and fails alone where it may not write", {
  timeout: 300_000,
}, async () => {
  const { client, access } = server;
  const { bucket, ...place } = access;
  const s3 = { ...access, prefix: "store" };
  await project.configure({
    store: { s3 },
    directory: { path: "public", formats: ["qcow2"] },
    bucket: { ...place, name: bucket, prefix: "public", formats: ["qcow2"] },
  });
  const store = openBucketStore(s3Addresses.of(s3), { cache: builder });
  const [build] = await project.prepareBuilds(version, disk, store);

  const forbidden = server.proxy.add(
    refuse(
      ({ service, method, path }) =>
        service === "s3" &&
        method !== "GET" &&
        path.includes("/images/public/"),
      "AccessDenied",
      "Access Denied",
      403,
    ),
  );
  const failed = await project.run(["up", "--yes"], { ...anyCredentials });
  expect(failed.exitCode, failed.output).not.toBe(0);
  expect(failed.output).toMatch(/-directory created/);
  expect(failed.output).toMatch(/-bucket .*failed/);
  forbidden();

  const up = () => project.run(["up", "--yes"], { ...anyCredentials });
  const { exitCode, output } = await up();
  expect(exitCode, output).toBe(0);
  expect(output).not.toContain("base system");
  const { Contents = [] } = await client.send(
    new ListObjectsV2Command({ Bucket: "images", Prefix: "public/" }),
  );
  const keys = Contents.map(({ Key }) => Key);
  for (const key of [
    "public/index.html",
    `public/trixie/daily/${version}/${image}-${version}.qcow2`,
    `public/trixie/daily/latest/${image}.qcow2`,
    "public/trixie/daily/latest/SHA512SUMS",
  ]) {
    expect(keys).toContain(key);
  }
  const manifest = await client.send(
    new GetObjectCommand({
      Bucket: "images",
      Key: `public/trixie/daily/${version}/${image}-${version}.json`,
    }),
  );
  expect(await manifest.Body?.transformToString()).toContain(build?.version);

  expect((await up()).output).toMatch(/\d+ unchanged/);
  const destroyed = await project.run(["destroy", "--yes"], {
    ...anyCredentials,
  });
  expect(destroyed.exitCode, destroyed.output).toBe(0);
  const left = await client.send(
    new ListObjectsV2Command({ Bucket: "images" }),
  );
  expect(left.Contents ?? []).toEqual([]);
});
