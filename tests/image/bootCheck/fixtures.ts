/** What the tests of the boot check are about, where it does not matter. */

import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  Definition,
  DefinitionName,
} from "../../../infra/definitions/definition.ts";
import type { Nonce } from "../../../infra/image/bootCheck/nonce.ts";
import type { Observation } from "../../../infra/image/bootCheck/observation.ts";
import type { BootReport } from "../../../infra/image/bootCheck/report.ts";
import type { BootCheckRequest } from "../../../infra/image/bootCheck/request.ts";
import type { Sha256 } from "../../../infra/store/store.ts";
import { trixie } from "../../definitions/fixtures.ts";

export const nonce = "0123456789abcdef0123456789abcdef" as Nonce;

/** A definition whose boot check is as small and short as can be. */
export function definitionWith(
  bootCheck: Partial<Definition["bootCheck"]> = {},
  classes: readonly string[] = [],
): Definition {
  return {
    name: "debian-13-nocloud-amd64" as DefinitionName,
    release: trixie,
    architecture: "amd64",
    variant: "nocloud",
    description: "An image of a test",
    classes,
    layers: [],
    disk: { sizeGiB: 1 },
    build: { timeoutSeconds: 60, memoryMiB: 64 },
    bootCheck: {
      firmware: ["bios"],
      report: "credentials",
      rootGrows: true,
      diskSizeGiB: 6,
      memoryMiB: 64,
      timeoutSeconds: 20,
      ...bootCheck,
    },
    allowFailure: false,
    freshness: "always",
  };
}

/** A request for a check of that disk by BIOS, in a directory of the test's. */
export function requestFor(
  directory: string,
  rawPath: string,
  changes: Partial<BootCheckRequest> = {},
): BootCheckRequest {
  return {
    rawPath,
    rawSha256: "0".repeat(64) as Sha256,
    definition: definitionWith(),
    firmware: "bios",
    outputDirectory: join(directory, "output"),
    workDirectory: join(directory, "work"),
    onProgress: () => {},
    acceleration: "tcg",
    ...changes,
  };
}

/** A disk of 1 MiB that begins with the sector. */
export async function diskOf(
  directory: string,
  sector: Uint8Array,
): Promise<string> {
  const path = join(directory, "disk.raw");
  await writeFile(path, sector);
  await truncate(path, 1024 * 1024);
  return path;
}

/** Runs `use` with a directory that is removed afterwards. */
export async function withDirectory(
  use: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "boot-check-test-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What a healthy image says. */
export const goodReport: BootReport = {
  systemState: "running",
  kernel: "6.12.117+deb13-cloud-amd64",
  activeUnits: 107,
  failedUnits: [],
  failures: "",
  rootSizeBytes: 6_031_495_168,
  interface: "enp0s2",
  address: "192.0.2.77/24",
  gateway: "192.0.2.2",
  machineId: "f2ca1bb6c7e907d06dafe4687e579fce",
  hasSshd: true,
  sshHostKeys: 3,
  firmware: "bios",
  secureBoot: false,
};

/** A healthy image's boot, from outside. */
export const goodObservation: Observation = {
  ending: { kind: "off" },
  acceleration: "tcg",
  milestoneSeconds: {
    firmware: 0.5,
    kernel: 9,
    systemd: 15.6,
    report: 39.1,
    off: 43.2,
  },
  durationSeconds: 43.5,
  report: { kind: "complete", report: goodReport },
  poweredDown: true,
  exitCode: 0,
  consoleTail: ["debian login: ", "[   40.1] reboot: Power down"],
  firmwareTail: [],
  hasScreenshot: true,
};
