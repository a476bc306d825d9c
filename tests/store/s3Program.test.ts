import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bucketAddress } from "../../infra/aws/bucketAddress.ts";
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
import type { BuildRecord } from "../../infra/store/records.ts";
import { S3Store } from "../../infra/store/s3Store.ts";
import {
  type DeclaredProject,
  makeDeclaredProject,
} from "../declaredProject.ts";
import { AwsProxy } from "../servers/awsProxy.ts";
import { makeBucket } from "../servers/bucket.ts";
import type { LocalServer } from "../servers/localServer.ts";
import { startMoto } from "../servers/moto.ts";
import { StrictS3 } from "../servers/strictS3.ts";
import { storeArtifact } from "./records.ts";

let top: string;
let moto: LocalServer;
let proxy: AwsProxy;
let project: DeclaredProject;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "s3-program-"));
  moto = await startMoto(top);
  proxy = await AwsProxy.start(moto.url, [new StrictS3("eu-central-1")]);
  await makeBucket(moto.url, "images");
  project = await makeDeclaredProject();
});
afterAll(async () => {
  await project?.remove();
  await proxy?.[Symbol.asyncDispose]();
  await moto?.[Symbol.asyncDispose]();
  await rm(top, { recursive: true, force: true });
});

it("a preview reads the records of a store in a bucket, and writes nothing", async () => {
  const s3 = {
    ...{ bucket: "images", prefix: "team", region: "eu-central-1" },
    endpoint: proxy.url,
  };
  const config = project.configWith({ store: { s3 } });
  const images = async () => {
    const { declared, error } = await project.declare({ config });
    expect(error).toBeUndefined();
    return declared.filter(({ name }) => name.endsWith("-image"));
  };

  const [first, ...none] = await images();
  expect(none).toEqual([]);
  expect(first?.inputs.store).toBe(bucketAddress(s3));

  // A build job on another machine.
  const store = new S3Store(s3, { cache: join(top, "builder") });
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
  proxy.forget();
  const later = await images();
  expect(later).toHaveLength(2);
  expect(later.map(({ inputs }) => inputs.key)).toContain(build.key);
  expect(proxy.actions()).toEqual(["s3:GET", "s3:GetObject"]);
});
