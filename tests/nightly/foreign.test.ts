/**
 * Images for other architectures than the machine's, with the real engine, FAI and qemu: their programs run under
 * emulation, which takes a quarter of an hour for each. `scripts/test nightly` runs them, `scripts/test` alone does not.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Architecture } from "../../infra/definitions/definition.ts";
import { loadDefinitions } from "../../infra/definitions/load.ts";
import { requireBuildMachine } from "../../infra/image/build/preconditions.ts";
import {
  editFile,
  filesBelow,
  makeProject,
  publishQcow2Alone,
  removeProject,
  runScript,
} from "../stack/checkout.ts";

const minutes = 60_000;

/** A release without its updates: many mirrors are behind with those of the architectures that few people use. */
const ownDefinitions = `
releases:
  trixie-alone:
    extends: trixie
    version: 13-alone
    suites: { debian: [trixie], security: [] }
images:
  - releases: [trixie-alone]
    architectures: [ppc64el, riscv64]
    variants: [nocloud]
`;

interface ForeignImage {
  readonly architecture: Architecture;
  readonly name: string;
  readonly release: string;
  readonly firmware: string;
  readonly machine: string;
}

const images: readonly ForeignImage[] = [
  {
    architecture: "arm64",
    name: "debian-13-nocloud-arm64",
    release: "trixie",
    firmware: "uefi-secure-boot",
    machine: "qemu-system-aarch64",
  },
  {
    architecture: "ppc64el",
    name: "debian-13-alone-nocloud-ppc64el",
    release: "trixie-alone",
    firmware: "open-firmware",
    machine: "qemu-system-ppc64",
  },
  {
    architecture: "riscv64",
    name: "debian-13-alone-nocloud-riscv64",
    release: "trixie-alone",
    firmware: "u-boot",
    machine: "qemu-system-riscv64",
  },
];

describe.each(images)(
  "an image for $architecture",
  { timeout: 60 * minutes },
  ({ architecture, name, release, firmware, machine }) => {
    let project = "";
    /** Why this machine cannot build it, as the probe says; `undefined` where it can. */
    let obstacle: string | undefined;
    const inProject = (...path: string[]) => join(project, ...path);

    beforeAll(async () => {
      project = await makeProject();
      await publishQcow2Alone(project);
      await writeFile(inProject("image-definitions/own.yaml"), ownDefinitions);
      await editFile(
        inProject("Pulumi.local.yaml"),
        "debian-13-genericcloud-amd64",
        name,
      );
      const all = await loadDefinitions(inProject("image-definitions"));
      const definition =
        all.find((each) => each.name === name) ?? expect.fail();
      obstacle = await requireBuildMachine(definition, project).then(
        () => undefined,
        (error: Error) => error.message,
      );
    });

    afterAll(async () => {
      await removeProject(project);
    });

    it("is built, boots and is published, or is refused with the runner that can", async () => {
      const { output, exitCode } = await runScript(project, "up");
      if (obstacle !== undefined) {
        expect(exitCode).not.toBe(0);
        expect(output).toContain(`a runner with the tag ${architecture}`);
        expect(await filesBelow(inProject("public"))).toEqual([]);
        return;
      }
      expect(exitCode, output).toBe(0);
      const latest = inProject("public", release, "dev/latest");
      const manifest = JSON.parse(
        await readFile(join(latest, `${name}.json`), "utf8"),
      );
      expect(manifest.items[0].metadata.labels["debian.org/arch"]).toBe(
        architecture,
      );
      const check = await readFile(
        join(latest, `${name}.boot-${firmware}.xml`),
        "utf8",
      );
      expect(check).toMatch(/failures="0"/);
      expect(output).toMatch(new RegExp(`${machine} .*\\.qcow2`));
    });

    it("does not change when it is brought up again", async () => {
      if (obstacle !== undefined) return;
      const { output, exitCode } = await runScript(project, "up");
      expect(exitCode, output).toBe(0);
      expect(output).toContain("unchanged");
      expect(output).not.toContain("base system");
    });
  },
);
