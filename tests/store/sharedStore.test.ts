/**
 * A build job on one machine and a release on another, which have nothing in common but a store at Google or at Azure: the
 * release by the real engine. tests/platforms/bucket has the same with S3.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBucketStore, storeAddress } from "../../infra/store/openStore.ts";
import type { StoreConfig } from "../../infra/store/storeConfig.ts";
import { EngineProject } from "../engineProject.ts";
import { azuriteKey, azuriteSecretFrom } from "../servers/azurite.ts";
import { StrictContainer } from "../servers/blobContainer.ts";
import { StrictCloudBucket } from "../servers/cloudStorage.ts";

const image = "debian-13-tiny-amd64";
const version = "20261121-0312";
const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [{ at: 8 * mebibyte, content: randomBytes(mebibyte) }],
};

const servers = new AsyncDisposableStack();
const places: Record<string, StoreConfig> = {};
let builder = "";
let project: EngineProject;

beforeAll(async () => {
  const [bucket, container] = await Promise.all([
    StrictCloudBucket.start("images"),
    StrictContainer.start("images"),
  ]);
  servers.use(bucket);
  servers.use(container);
  const endpoint = bucket.proxy.url;
  places.google = { gcs: { bucket: "images", prefix: "store", endpoint } };
  places.azure = { azureBlob: { ...container.access, prefix: "store" } };
  builder = await mkdtemp(join(tmpdir(), "shared-builder-"));
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});

afterAll(async () => {
  await project?.remove();
  await servers.disposeAsync();
  await rm(builder, { recursive: true, force: true });
});

it.each(["google", "azure"])(
  "publishes what the other one built, building nothing: %s",
  {
    timeout: 300_000,
  },
  async (name) => {
    const place = places[name] ?? expect.fail();
    await project.configure({
      store: place,
      directory: { path: "public", formats: ["qcow2"] },
    });
    const store = openBucketStore(storeAddress(place), {
      cache: join(builder, name),
    });
    const [build] = await project.prepareBuilds(version, disk, store);
    const run = (...args: string[]) =>
      project.run(args, { [azuriteSecretFrom]: azuriteKey });

    const { exitCode, output } = await run("up", "--yes");
    expect(exitCode, output).toBe(0);
    expect(output).not.toContain("base system");
    expect(output).not.toContain(azuriteKey);
    const records = await store.list("publications");
    expect(records).toEqual([
      `publications/directory/${image}/${version}.daily.json`,
    ]);
    expect(await store.read(records[0] ?? "")).toContain(build?.key);

    const destroyed = await run("destroy", "--yes");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await store.list("")).toEqual([]);
  },
);
