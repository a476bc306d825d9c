import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { s3Addresses } from "../../infra/aws/bucketAddress.ts";
import type {
  Definition,
  ImageKey,
} from "../../infra/definitions/definition.ts";
import type { ArchiveState } from "../../infra/image/archive.ts";
import {
  listPublications,
  writeBuild,
  writePublication,
} from "../../infra/store/documents.ts";
import { openBucketStore } from "../../infra/store/openStore.ts";
import type { BuildRecord } from "../../infra/store/records.ts";
import {
  type DeclaredProject,
  makeDeclaredProject,
} from "../declaredProject.ts";
import { StrictBucket } from "../servers/bucket.ts";
import { storeArtifact } from "./records.ts";

let top: string;
let server: StrictBucket;
let project: DeclaredProject;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "s3-program-"));
  server = await StrictBucket.start("images");
  project = await makeDeclaredProject();
});
afterAll(async () => {
  await project?.remove();
  await server?.[Symbol.asyncDispose]();
  await rm(top, { recursive: true, force: true });
});

it("a preview reads the records of a store in a bucket, and writes nothing", async () => {
  const s3 = { ...server.access, prefix: "team" };
  const config = project.configWith({ store: { s3 } });
  const images = async () => {
    const { declared, error } = await project.declare({ config });
    expect(error).toBeUndefined();
    return declared.filter(({ name }) => name.endsWith("-image"));
  };

  const [first, ...none] = await images();
  expect(none).toEqual([]);
  expect(first?.inputs.store).toBe(s3Addresses.of(s3));

  // A build job on another machine.
  const store = openBucketStore(s3Addresses.of(s3), {
    cache: join(top, "builder"),
  });
  const build = {
    key: first?.inputs.key as ImageKey,
    version: "20261121-1" as BuildRecord["version"],
    definition: first?.inputs.definition as Definition,
  };
  await writeBuild(store, {
    ...build,
    builtAt: "2026-11-21T03:12:45.000Z",
    archive: first?.inputs.archive as ArchiveState,
    raw: await storeArtifact(store, "raw"),
    ...{ packages: [], phaseSeconds: {}, tools: {} },
  });
  await writePublication(store, {
    ...build,
    ...{ platform: "directory", channel: "daily", inputs: {}, files: [] },
    stack: "team/cloud-images/mine",
    publishedAt: "2026-11-21T03:20:00.000Z",
  });
  expect(await listPublications(store)).toHaveLength(1);

  await project.setArchive("1");
  server.proxy.forget();
  const later = await images();
  expect(later).toHaveLength(2);
  expect(later.map(({ inputs }) => inputs.key)).toContain(build.key);
  expect(server.proxy.actions()).toEqual(["s3:GET", "s3:GetObject"]);
});
