import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { s3Addresses } from "../../../infra/aws/bucketAddress.ts";
import { openBucketStore } from "../../../infra/store/openStore.ts";
import {
  type DeclaredProject,
  makeDeclaredProject,
} from "../../declaredProject.ts";
import { StrictBucket } from "../../servers/bucket.ts";
import {
  sampleDefinition,
  sampleKey,
  storeBuild,
} from "../../store/records.ts";

let top: string;
let server: StrictBucket;
let project: DeclaredProject;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), "bucket-provider-"));
  server = await StrictBucket.start("images");
  project = await makeDeclaredProject();
});
afterAll(async () => {
  await project?.remove();
  await server?.[Symbol.asyncDispose]();
  await rm(top, { recursive: true, force: true });
});

/** Asks the provider in another checkout, as the engine does, for a list of its calls. */
async function ask(
  calls: readonly (readonly [name: string, ...values: unknown[]])[],
): Promise<Record<string, Record<string, unknown>>[]> {
  const program = `
    import { providerOf } from "./dynamic/moduleProvider.ts";
    const provider = await providerOf("platforms/bucket/bucketPublicationProvider.ts");
    const answers = [];
    for (const [name, ...values] of ${JSON.stringify(calls)}) {
      answers.push((await provider[name](...values)) ?? {});
    }
    console.log(JSON.stringify(answers));
  `;
  const { stdout } = await execa(
    process.execPath,
    ["--no-warnings", "--input-type=module-typescript", "--eval", program],
    { cwd: project.path("infra") },
  );
  return JSON.parse(stdout);
}

async function keys(prefix: string): Promise<string[]> {
  const { Contents = [] } = await server.client.send(
    new ListObjectsV2Command({ Bucket: "images", Prefix: prefix }),
  );
  return Contents.flatMap(({ Key }) => Key ?? []);
}

it("an image that a build job left in a bucket is published by another machine to a bucket", async () => {
  const access = { region: "eu-central-1", endpoint: server.proxy.url };
  const s3 = { bucket: "images", prefix: "store", ...access };
  const builder = openBucketStore(s3Addresses.of(s3), {
    cache: join(top, "builder"),
  });
  await storeBuild(builder);

  const tree = { bucket: "images", prefix: "public", ...access };
  const inputs = {
    stack: "organization/cloud-images/local",
    ...{ root: s3Addresses.of(tree), store: s3Addresses.of(s3) },
    ...{ key: sampleKey(), version: "20261121-1", release: "trixie" },
    ...{ channel: "release", definition: sampleDefinition().name },
    ...{ formats: ["qcow2"], firmware: ["bios"], failures: [] },
  };
  const [created = {}] = await ask([["create", inputs]]);
  const state = created.outs ?? {};
  expect(state.files).toContain(
    "trixie/20261121-1/debian-13-genericcloud-amd64-20261121-1.qcow2",
  );
  expect(JSON.stringify(state)).not.toMatch(
    new RegExp(
      `${process.env.AWS_ACCESS_KEY_ID}|${process.env.AWS_SECRET_ACCESS_KEY}`,
    ),
  );
  expect(await keys("public/")).toContain("public/index.html");
  // What it fetched, and nothing on its way.
  const [cache = ""] = await readdir(project.path(".cache/store"));
  expect(await readdir(project.path(`.cache/store/${cache}`))).toEqual([
    "artifacts",
  ]);
  expect(existsSync(project.path(".cache/drafts"))).toBe(false);

  const other = { ...tree, profile: "release" };
  const moved = { ...tree, prefix: "elsewhere" };
  const [read, same, reached, elsewhere] = await ask([
    ["read", "id", state],
    ["diff", "id", state, inputs],
    ["diff", "id", state, { ...inputs, root: s3Addresses.of(other) }],
    ["diff", "id", state, { ...inputs, root: s3Addresses.of(moved) }],
  ]);
  expect(read?.props?.problems).toEqual([]);
  expect(same).toMatchObject({ changes: false });
  expect(reached).toMatchObject({ changes: true, replaces: [] });
  expect(elsewhere).toMatchObject({ changes: true, replaces: ["root"] });

  await ask([["delete", "id", state]]);
  expect(await keys("public/")).toEqual([]);
  expect(await keys("store/publications")).toEqual([]);
  expect(await keys("store/locks")).toEqual([]);
});
