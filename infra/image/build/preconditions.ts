/** What a machine must have to build images; looked at before anything is started. */

import { readFile, statfs } from "node:fs/promises";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Definition } from "../../definitions/definition.ts";
import { UserError } from "../../errors.ts";
import { isNative } from "../nativeArchitecture.ts";

/** Programs of a build, and the Debian package that has each. */
const programs: Readonly<Record<string, string>> = {
  fai: "fai-client",
  mmdebstrap: "mmdebstrap",
  newuidmap: "uidmap",
  unshare: "util-linux",
  sfdisk: "fdisk",
  mke2fs: "e2fsprogs",
  "mkfs.vfat": "dosfstools",
  mcopy: "mtools",
  // The formats are made where the image is, and right after it.
  "qemu-img": "qemu-utils",
  zstd: "zstd",
};

/** System administrators' programs are not on every user's PATH. */
export const systemPath = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** An image has as many ids of its own as Debian gives out: 0 to 65535. */
const idsNeeded = 65_536;

/**
 * Checks this machine.
 *
 * @param directory where the disk will be written
 * @throws {UserError} naming what is missing and how to get it.
 */
export async function requireBuildMachine(
  definition: Definition,
  directory: string,
): Promise<void> {
  await requirePrograms();
  await requireSubordinateIds();
  await requireArchitecture(definition);
  await requireDisk(definition, directory);
}

async function requirePrograms(): Promise<void> {
  const missing: string[] = [];
  for (const [program, debianPackage] of Object.entries(programs)) {
    const found = await execa("which", [program], {
      reject: false,
      env: { PATH: systemPath },
    });
    if (found.exitCode !== 0) missing.push(debianPackage);
  }
  if (missing.length > 0) {
    throw new UserError(
      `This machine lacks what builds images. Run scripts/up, or: apt-get install ${missing.join(" ")}`,
    );
  }
}

async function requireSubordinateIds(): Promise<void> {
  const { username, uid } = userInfo();
  for (const file of ["/etc/subuid", "/etc/subgid"]) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (subordinateIds(text, username, uid) < idsNeeded) {
      throw new UserError(
        `${file} gives ${username} fewer than ${idsNeeded} subordinate ids, which a build without privileges needs. ` +
          `Run scripts/up, or as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
      );
    }
  }
}

/** The size of a user's largest range in a file of the form of subuid(5). */
export function subordinateIds(
  text: string,
  username: string,
  uid: number,
): number {
  const sizes = text
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([owner]) => owner === username || owner === String(uid))
    .map(([, , size]) => Number(size));
  return Math.max(0, ...sizes);
}

/** A build runs the image's own programs: tries that where they are foreign, in a user namespace as builds have it. */
async function requireArchitecture({
  name,
  architecture,
}: Definition): Promise<void> {
  if (isNative(architecture)) return;
  const { exitCode, stderr } = await execa(
    "unshare",
    [
      ...["--user", "--map-root-user", "--mount"],
      process.execPath,
      fileURLToPath(new URL("tryArchitecture.ts", import.meta.url)),
      architecture,
    ],
    // The checkout may be below /tmp, which that program hides from itself.
    { reject: false, cwd: "/" },
  );
  if (exitCode === 0) return;
  throw new UserError(
    `${name} cannot be built here, as this machine cannot run ${architecture} programs: ${stderr.trim()}. ` +
      "Install an emulator (apt-get install qemu-user-static); before Linux 6.7 the machine has to register it as well " +
      "(apt-get install binfmt-support). " +
      `Or build it on a runner with the tag ${architecture}.`,
  );
}

async function requireDisk(
  { name, disk }: Definition,
  directory: string,
): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const freeGiB = (bavail * bsize) / 1024 ** 3;
  // The raw image is sparse, but the archive cache and the formats need room beside it.
  if (freeGiB < disk.sizeGiB) {
    throw new UserError(
      `${name} may need ${disk.sizeGiB} GiB of disk in ${directory}, and ${freeGiB.toFixed(1)} GiB are free. ` +
        "Make room, or put the store elsewhere (cloud-images:store in the stack's configuration).",
    );
  }
}
