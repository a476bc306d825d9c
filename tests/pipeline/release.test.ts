/** Builds that are named by their keys: published as they are, and made again where the store lost them. */

import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { BuildRecord } from "../../infra/store/records.ts";
import { variant } from "../declaredProject.ts";
import { EngineProject } from "../engineProject.ts";

const image = "debian-13-tiny-amd64";
const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [{ at: 8 * mebibyte, content: randomBytes(mebibyte) }],
};
const directory = { path: "public", formats: ["qcow2"] };
const unknown = "f".repeat(64);

let project: EngineProject;
let build: BuildRecord;

beforeAll(async () => {
  project = new EngineProject(await mkdtemp(join(tmpdir(), "release-")));
  await project.fill();
  await project.configure({ directory });
  const [prepared] = await project.prepareBuilds("20261121-0312", disk);
  build = prepared ?? expect.fail();
  // The archive moves on, and so does what the sources say of the image.
  await project.setArchive("1");
  const bootCheck = { ...variant.bootCheck, diskSizeGiB: 4 };
  await project.setVariant({ disk: { sizeGiB: 4 }, bootCheck });
});

afterAll(() => project.remove());

const declare = (keys: readonly string[]) =>
  project.declare({ config: project.configWith({ directory, keys }) });
const verify = (keys: string) =>
  project.runScript(
    "ci.ts",
    ["verify-release", "--stack", "mine", "--keys", keys],
    { env: { PATH: `${project.path("bin")}:${process.env.PATH}` } },
  );

it("publishes the build of a key, whatever archive and sources have come to since", async () => {
  const keyOf = async (keys?: readonly string[]) => {
    const { declared, error } =
      keys === undefined ? await project.declare() : await declare(keys);
    expect(error).toBeUndefined();
    return declared.find(({ type }) => type.endsWith(":FaiImage"))?.inputs.key;
  };
  expect(await keyOf()).not.toBe(build.key);
  expect(await keyOf([build.key])).toBe(build.key);
});

it("says of a key whose build is gone that it has expired, and what to do", async () => {
  const { error, declared } = await declare([unknown]);
  expect(error).toContain(
    `does not have the build ${unknown} any more: it has expired`,
  );
  expect(declared).toEqual([]);
});

it("asks for a key of each image", async () => {
  const config = project.configWith({
    ...{ directory, keys: [build.key] },
    definitions: ["debian-13-*-amd64"],
  });
  const { error } = await project.declare({ config });
  expect(error).toContain(
    "None of the keys in cloud-images:keys is one of debian-13-other-amd64",
  );
});

it("finds everything of a build that the store still has, and publishes nothing", async () => {
  const { exitCode, output } = await verify(build.key);
  expect(exitCode, output).toBe(0);
  expect(output).toMatch(new RegExp(`${image} +20261121-0312 +was there`));
  expect(await project.store.list("publications")).toEqual([]);
});

it("builds an image that expired again by its key, which the archive of this test cannot give", async () => {
  await project.store.discard(build.raw.sha256);
  const { exitCode, output } = await verify(build.key);
  expect(exitCode, output).toBe(3);
  expect(output).toMatch(new RegExp(`${image} +20261121-0312 +FAILED +build`));
});

it("says of all images what became of them, also where one cannot be built on this machine", async () => {
  // The largest there may be: more than is free on machines that run tests.
  await project.setVariant({
    disk: { sizeGiB: 2048 },
    bootCheck: { ...variant.bootCheck, diskSizeGiB: 2048 },
  });
  await project.configure({ directory, definitions: ["debian-13-*-amd64"] });
  const builds = await project.prepareBuilds("20261122-0312", disk);
  await project.store.discard(build.raw.sha256);
  const { exitCode, output } = await verify(
    builds.map(({ key }) => key).join(","),
  );
  expect(exitCode, output).toBe(3);
  expect(output).toMatch(/debian-13-other-amd64 +20261122-0312 +FAILED +build/);
  expect(output).toMatch(new RegExp(`${image} +- +NO RESULT`));
  expect(output).toMatch(new RegExp(`^${image}: .*may need 2048 GiB`, "m"));
});

it("refuses what is no list of keys", async () => {
  const { exitCode, output } = await verify("latest");
  expect(exitCode).toBe(1);
  expect(output).toContain('"latest" is no list of image keys');
});
