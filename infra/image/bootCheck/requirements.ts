/** What a boot check needs of this machine, looked at before anything starts. */

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { UserError } from "../../errors.ts";
import { availableMemoryMiB } from "../capacity.ts";
import { firmwareFilesOf, machineTypes } from "./machineTypes.ts";
import { isolation } from "./qemu.ts";
import type { BootCheckRequest } from "./request.ts";

/** Programs, and the Debian packages they come from. */
const programPackages = {
  "qemu-img": "qemu-utils",
  mformat: "mtools",
  mcopy: "mtools",
  setpriv: "util-linux",
  unshare: "util-linux",
} as const;

/** What qemu itself takes beside the guest's memory, with room for this program: measured 150 MiB. */
const memoryBesideGuestMiB = 256;

/** Facts about this machine that a check depends on; given by tests, found out otherwise. */
export interface Host {
  /** Directories with programs, as in PATH. */
  readonly path: string;
  readonly availableMemoryMiB: number;
}

/** This machine. */
export function thisHost(): Host {
  return {
    path: process.env.PATH ?? "",
    availableMemoryMiB: availableMemoryMiB(),
  };
}

/** @throws {UserError} when the check cannot run here, saying what to do about it. */
export async function requireAll(
  request: BootCheckRequest,
  host: Host,
): Promise<void> {
  requireMemory(request, host);
  await requirePrograms(request, host);
  await requireFirmware(request);
  await requireIsolation();
  await requireRoom(request);
}

function requireMemory({ definition }: BootCheckRequest, host: Host): void {
  const guest = definition.bootCheck.memoryMiB;
  const wanted = guest + memoryBesideGuestMiB;
  if (host.availableMemoryMiB >= wanted) return;
  throw new UserError(
    `The boot check of ${definition.name} needs ${wanted} MiB of memory (${guest} for the guest, ${memoryBesideGuestMiB} for qemu), and ${host.availableMemoryMiB} MiB are available. Run fewer builds at once, or lower bootCheck.memoryMiB in its definition.`,
  );
}

async function requirePrograms(
  { definition }: BootCheckRequest,
  host: Host,
): Promise<void> {
  const machine = machineTypes[definition.architecture];
  const programs = {
    [machine.program]: machine.debianPackage,
    ...programPackages,
  };
  for (const [program, debianPackage] of Object.entries(programs)) {
    if (await isInPath(program, host.path)) continue;
    throw new UserError(
      `A boot check of ${definition.architecture} needs ${program}, which is not on PATH. Install the Debian package ${debianPackage}.`,
    );
  }
}

async function isInPath(program: string, path: string): Promise<boolean> {
  const directories = path.split(delimiter).filter((entry) => entry !== "");
  const found = await Promise.all(
    directories.map((directory) => isUsable(join(directory, program), "X_OK")),
  );
  return found.includes(true);
}

async function requireFirmware({
  definition,
  firmware,
}: BootCheckRequest): Promise<void> {
  const files = firmwareFilesOf(definition.architecture, firmware);
  for (const file of [files?.code, files?.variables]) {
    if (file === undefined || (await isUsable(file, "R_OK"))) continue;
    throw new UserError(
      `A boot check of ${definition.architecture} by ${firmware} needs ${file}, which cannot be read. Install the Debian package ${files?.debianPackage}.`,
    );
  }
}

async function requireIsolation(): Promise<void> {
  const [program = "", ...programArguments] = [...isolation, "true"];
  const { failed, stderr } = await execa(program, programArguments, {
    reject: false,
  });
  if (!failed) return;
  throw new UserError(
    `A boot check runs qemu in a user and network namespace of its own, which this machine refuses: ${stderr}. Allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a container, its seccomp profile).`,
  );
}

/** The guest's disk must hold the whole image. */
async function requireRoom(request: BootCheckRequest): Promise<void> {
  const { definition, rawPath } = request;
  const { diskSizeGiB } = definition.bootCheck;
  const { size } = await stat(rawPath);
  const imageGiB = size / 1024 ** 3;
  if (imageGiB <= diskSizeGiB) return;
  throw new UserError(
    `The boot check of ${definition.name} gives it a disk of ${diskSizeGiB} GiB, and the image has ${imageGiB.toFixed(2)} GiB. Raise bootCheck.diskSizeGiB in its definition.`,
  );
}

async function isUsable(path: string, mode: "R_OK" | "X_OK"): Promise<boolean> {
  return access(path, constants[mode]).then(
    () => true,
    () => false,
  );
}
