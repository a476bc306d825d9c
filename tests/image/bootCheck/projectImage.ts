/** What an image of the project's own has to pass; for tests that have built one. Minutes, not seconds. */

import { mkdtemp, readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import type {
  Definition,
  Firmware,
} from "../../../infra/definitions/definition.ts";
import { checkBoot } from "../../../infra/image/bootCheck/checkBoot.ts";
import type { BootCheckRecord } from "../../../infra/store/records.ts";
import type { Artifact } from "../../../infra/store/store.ts";
import { withDirectory } from "./fixtures.ts";

/** An image that was built. */
export interface ProjectImage {
  readonly definition: Definition;
  readonly rawPath: string;
  readonly raw: Artifact;
}

/** Proves that the image boots by the firmware, and that the check leaves it as it was. */
export async function expectToBoot(
  image: ProjectImage,
  firmware: Firmware,
): Promise<BootCheckRecord> {
  const before = await stat(image.rawPath);
  const outputDirectory = await mkdtemp(join(tmpdir(), "boot-check-output-"));
  const record = await checkBoot(requestOf(image, firmware, outputDirectory));
  expect(record).toMatchObject({
    firmware,
    rawSha256: image.raw.sha256,
    systemState: "running",
    units: { failed: [] },
    secureBoot: firmware === "uefi-secure-boot",
  });
  expect(Object.keys(record.milestoneSeconds)).toEqual([
    "firmware",
    "kernel",
    "systemd",
    "report",
    "off",
  ]);
  const junit = await readFile(
    join(outputDirectory, `${firmware}.xml`),
    "utf8",
  );
  expect(junit).toContain('failures="0"');
  const after = await stat(image.rawPath);
  expect(after.mtimeMs).toBe(before.mtimeMs);
  return record;
}

/** Proves that the image is refused, long before the time limit, once its root partition has another id. */
export async function expectNotToBootWithoutRoot(
  image: ProjectImage,
  firmware: Firmware,
): Promise<void> {
  await withDirectory(async (directory) => {
    const rawPath = join(directory, "broken.raw");
    await execa("cp", ["--sparse=always", image.rawPath, rawPath]);
    const otherId = "00000000-0000-4000-8000-000000000000";
    await execa("sfdisk", ["--part-uuid", rawPath, "1", otherId]);
    const request = requestOf({ ...image, rawPath }, firmware, directory);
    await expect(checkBoot(request)).rejects.toThrow(
      /the console shows an initramfs (that gave up|without the root device|shell)/,
    );
  });
}

function requestOf(
  { definition, rawPath, raw }: ProjectImage,
  firmware: Firmware,
  outputDirectory: string,
) {
  return {
    rawPath,
    rawSha256: raw.sha256,
    definition,
    firmware,
    outputDirectory,
    workDirectory: join(outputDirectory, "work"),
    onProgress: (message: string) =>
      console.log(`${definition.name} ${firmware}: ${message}`),
  };
}
