/**
 * An image for another architecture than the machine's, with the real engine, FAI and qemu: its programs run under
 * emulation, which takes a quarter of an hour. `scripts/test nightly` runs it, `scripts/test` alone does not.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDefinitions } from "../../infra/definitions/load.ts";
import { requireBuildMachine } from "../../infra/image/build/preconditions.ts";
import {
  editFile,
  filesBelow,
  makeProject,
  removeProject,
  runScript,
} from "../stack/checkout.ts";

const minutes = 60_000;
const name = "debian-13-nocloud-arm64";

describe("an image for arm64", { timeout: 60 * minutes }, () => {
  let project = "";
  /** Why this machine cannot build it, as the probe says; `undefined` where it can. */
  let obstacle: string | undefined;
  const inProject = (...path: string[]) => join(project, ...path);

  beforeAll(async () => {
    project = await makeProject();
    await editFile(
      inProject("Pulumi.local.yaml"),
      "debian-13-genericcloud-amd64",
      name,
    );
    const all = await loadDefinitions(inProject("image-definitions"));
    const definition = all.find((each) => each.name === name) ?? expect.fail();
    obstacle = await requireBuildMachine(definition, project).then(
      () => undefined,
      (error: Error) => error.message,
    );
  });

  afterAll(async () => {
    await removeProject(project);
  });

  it("is built, boots by Secure Boot and is published, or is refused with the runner that can", async () => {
    const { output, exitCode } = await runScript(project, "up");
    if (obstacle !== undefined) {
      expect(exitCode).not.toBe(0);
      expect(output).toContain("a runner with the tag arch-arm64");
      expect(await filesBelow(inProject("public"))).toEqual([]);
      return;
    }
    expect(exitCode, output).toBe(0);
    const latest = inProject("public/trixie/dev/latest");
    const manifest = JSON.parse(
      await readFile(join(latest, `${name}.json`), "utf8"),
    );
    expect(manifest.items[0].metadata.labels["debian.org/arch"]).toBe("arm64");
    const check = await readFile(
      join(latest, `${name}.boot-uefi-secure-boot.xml`),
      "utf8",
    );
    expect(check).toMatch(/failures="0"/);
    expect(output).toMatch(/qemu-system-aarch64 .*\.qcow2/);
  });

  it("does not change when it is brought up again", async () => {
    if (obstacle !== undefined) return;
    const { output, exitCode } = await runScript(project, "up");
    expect(exitCode, output).toBe(0);
    expect(output).toContain("unchanged");
    expect(output).not.toContain("base system");
  });
});
