/**
 * The images that the whole path is not tried with: each is built, boots and is published beside the others. The
 * tests are one story.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageChanges } from "../../infra/image/freshness.ts";
import { packageSet } from "../../infra/image/packageSet.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { listBuilds } from "../../infra/store/documents.ts";
import {
  editFile,
  fingerprint,
  makeProject,
  publishQcow2Alone,
  removeProject,
  runScript,
} from "./checkout.ts";

const minutes = 60_000;
const first = ["debian-13-ec2-amd64", "debian-13-nocloud-amd64"];
const others = ["debian-12-nocloud-amd64"];

describe("an image", { timeout: 15 * minutes }, () => {
  let project = "";
  let before = "";
  const inProject = (...path: string[]) => join(project, ...path);
  const up = () => runScript(project, "up");
  const setDefinitions = (from: readonly string[], to: readonly string[]) =>
    editFile(inProject("Pulumi.local.yaml"), listOf(from), listOf(to));
  const listOf = (names: readonly string[]) =>
    names.map((name) => `    - ${name}\n`).join("");

  beforeAll(async () => {
    project = await makeProject();
    await setDefinitions(["debian-13-genericcloud-amd64"], first);
    await publishQcow2Alone(project);
    // Both kinds of firmware are tried by the test of the whole path.
    await editFile(
      inProject("image-definitions/debian.yaml"),
      "firmware: [bios, uefi-secure-boot, u-boot, open-firmware]",
      "firmware: [uefi-secure-boot, u-boot, open-firmware]",
    );
  });

  afterAll(async () => {
    await removeProject(project);
  });

  it("is published beside others of its release", async () => {
    const { output, exitCode } = await up();
    expect(exitCode, output).toBe(0);
    expect(await readdir(inProject("public"))).not.toContain("bookworm");
    before = await fingerprint(inProject("public/trixie"));
  });

  it("is left alone when one of another release joins it, which boots", async () => {
    await setDefinitions(first, [...first, ...others]);
    const { output, exitCode } = await up();
    expect(exitCode, output).toBe(0);
    expect(output).toContain("11 unchanged");
    expect(await publishedNames()).toEqual([...first, ...others].sort());
    expect(await fingerprint(inProject("public/trixie"))).toBe(before);
  });

  it("has, as the others have, just the packages that apt foretold", async () => {
    const builds = await listBuilds(new DirectoryStore(inProject("store")));
    expect(builds).toHaveLength(first.length + others.length);
    for (const { definition, archive, packages } of builds) {
      const foretold = await packageSet({
        definition,
        archive,
        configSpace: inProject("image-definitions/fai"),
        directory: inProject(`.state/foretold/${definition.release.codename}`),
      });
      expect(packageChanges(packages, foretold ?? []), definition.name).toEqual(
        [],
      );
    }
  });

  it("stays when the other leaves, with all that it brought", async () => {
    await setDefinitions([...first, ...others], first);
    const { output, exitCode } = await up();
    expect(exitCode, output).toBe(0);
    expect(await publishedNames()).toEqual(first);
    expect(await readdir(inProject("public"))).not.toContain("bookworm");
    expect(await readdir(inProject("store/builds"))).toHaveLength(2);
    expect(await fingerprint(inProject("public/trixie"))).toBe(before);
  });

  async function publishedNames(): Promise<string[]> {
    const index = await readFile(inProject("public/index.json"), "utf8");
    return JSON.parse(index)
      .publications.map(
        (publication: { definition: { name: string } }) =>
          publication.definition.name,
      )
      .sort();
  }
});
