/** What a boot check needs of this machine, looked at before anything starts. */

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import type { Architecture } from "../../definitions/definition.ts";
import { UserError } from "../../errors.ts";
import { availableMemoryMiB } from "../capacity.ts";
import { isolation, qemuProgram } from "./qemu.ts";
import { uefiFiles } from "./qemuArguments.ts";
import type { BootCheckRequest } from "./request.ts";

/** Programs, and the Debian packages they come from. */
const programPackages = {
  [qemuProgram]: "qemu-system-x86",
  "qemu-img": "qemu-utils",
  mformat: "mtools",
  mcopy: "mtools",
  setpriv: "util-linux",
  unshare: "util-linux",
} as const;

/** What qemu itself takes beside the guest's memory, with room for this program: measured 150 MiB. */
const memoryBesideGuestMiB = 256;

/** Node's names for the architectures of images. */
const hostArchitectures: Readonly<Record<Architecture, string>> = {
  amd64: "x64",
  arm64: "arm64",
  ppc64el: "ppc64",
  riscv64: "riscv64",
};

/** Facts about this machine that a check depends on; given by tests, found out otherwise. */
export interface Host {
  /** As in `process.arch`. */
  readonly architecture: string;
  /** Directories with programs, as in PATH. */
  readonly path: string;
  readonly availableMemoryMiB: number;
}

/** This machine. */
export function thisHost(): Host {
  return {
    architecture: process.arch,
    path: process.env.PATH ?? "",
    availableMemoryMiB: availableMemoryMiB(),
  };
}

/** @throws {UserError} when the check cannot run here, saying what to do about it. */
export async function requireAll(
  request: BootCheckRequest,
  host: Host,
): Promise<void> {
  requireArchitecture(request, host);
  requireMemory(request, host);
  await requirePrograms(host);
  await requireFirmware(request);
  await requireIsolation();
  await requireRoom(request);
}

function requireArchitecture(
  { definition }: BootCheckRequest,
  host: Host,
): void {
  const { architecture, name } = definition;
  if (host.architecture === hostArchitectures[architecture]) return;
  throw new UserError(
    `${name} is an image for ${architecture}, and this machine is ${host.architecture}. Run its boot check on a machine of the image's architecture.`,
  );
}

function requireMemory({ definition }: BootCheckRequest, host: Host): void {
  const guest = definition.bootCheck.memoryMiB;
  const wanted = guest + memoryBesideGuestMiB;
  if (host.availableMemoryMiB >= wanted) return;
  throw new UserError(
    `The boot check of ${definition.name} needs ${wanted} MiB of memory (${guest} for the guest, ${memoryBesideGuestMiB} for qemu), and ${host.availableMemoryMiB} MiB are available. Run fewer builds at once, or lower bootCheck.memoryMiB in its definition.`,
  );
}

async function requirePrograms(host: Host): Promise<void> {
  for (const [program, debianPackage] of Object.entries(programPackages)) {
    if (await isInPath(program, host.path)) continue;
    throw new UserError(
      `A boot check needs ${program}, which is not on PATH. Install the Debian package ${debianPackage}.`,
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

async function requireFirmware({ firmware }: BootCheckRequest): Promise<void> {
  if (firmware === "bios") return;
  for (const file of Object.values(uefiFiles[firmware])) {
    if (await isUsable(file, "R_OK")) continue;
    throw new UserError(
      `A boot check by ${firmware} needs ${file}, which cannot be read. Install the Debian package ovmf.`,
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
