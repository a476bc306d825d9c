/** Raw disks in the forms that hypervisors read: qcow2, VMDK, VHD. qemu-img reads all of them back. */

import { createHash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { execa } from "execa";
import { BuildError } from "../../errors.ts";
import { sha256OfFile } from "../../store/digest.ts";
import { copySparsely } from "../../store/sparseFile.ts";
import type { Converter, RawImage } from "./rawImage.ts";
import { footerBytes, vhdFooter } from "./vhdFooter.ts";

/** qemu-img and Node keep a few buffers of some MiB for each core. */
const memoryMiB = 256;

/** Azure takes disks of whole mebibytes: https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-generic. */
const vhdAlignmentBytes = 1024 * 1024;

/** Compressed by zstd: what qemu and OpenStack read fastest, and smaller than by zlib. */
export const qcow2: Converter = {
  memoryMiB,
  async write(raw, path) {
    await execa("qemu-img", qcow2Arguments(raw.path, path));
  },
  readBack: (raw, path) => compare(raw, path, "qcow2"),
};

/**
 * Stream-optimised, as OVF files and vSphere's import have it. Hardware version 6 and LSI Logic are what all of
 * VMware's products take.
 */
export const vmdk: Converter = {
  memoryMiB,
  async write(raw, path) {
    const options = "subformat=streamOptimized,adapter_type=lsilogic,compat6";
    await execa("qemu-img", convertArguments(raw.path, path, "vmdk", options));
    await using file = await open(path, "r+");
    await fixContentId(file, raw);
  },
  readBack: (raw, path) => compare(raw, path, "vmdk"),
};

/** Of fixed size: the disk as it is, and a footer. Holes stay holes where the file system has them. */
export const vhd: Converter = {
  memoryMiB,
  async write(raw, path) {
    const { size } = await stat(raw.path);
    if (size % vhdAlignmentBytes !== 0) {
      throw new BuildError(
        `a disk of ${size} bytes is not one of whole mebibytes, and Azure takes no other`,
      );
    }
    await copySparsely(raw.path, path);
    await using file = await open(path, "r+");
    await file.write(vhdFooter(raw, size), 0, footerBytes, size);
  },
  readBack: (raw, path) => compare(raw, path, "vpc"),
};

/** What makes qemu-img write a qcow2. */
export function qcow2Arguments(raw: string, path: string): readonly string[] {
  return convertArguments(raw, path, "qcow2", "compression_type=zstd");
}

function convertArguments(
  raw: string,
  path: string,
  driver: string,
  options: string,
): readonly string[] {
  return [
    "convert",
    ...["-f", "raw"],
    ...["-O", driver],
    "-c",
    ...["-o", options],
    ...[raw, path],
  ];
}

/**
 * Whether a file holds the disk that the raw image's sha256 is of: the raw image is that disk, and qemu-img finds no
 * byte that differs. So nothing is unpacked, and holes are not read twice.
 */
async function compare(
  raw: RawImage,
  path: string,
  driver: string,
): Promise<string | undefined> {
  const [{ sha256, sizeBytes }, compared, info] = await Promise.all([
    sha256OfFile(raw.path),
    execa("qemu-img", ["compare", "-f", "raw", "-F", driver, raw.path, path], {
      reject: false,
      all: true,
    }),
    execa("qemu-img", ["info", "-f", driver, "--output=json", path]),
  ]);
  if (sha256 !== raw.sha256) {
    return `was made of a raw image whose sha256 is ${sha256}, and not ${raw.sha256}; run scripts/up --refresh`;
  }
  if (compared.exitCode !== 0) {
    return `does not hold the same disk: ${compared.all}`;
  }
  // Zeros that one of them has more of at its end make no difference to qemu-img.
  const size = (JSON.parse(info.stdout) as { "virtual-size": number })[
    "virtual-size"
  ];
  return size === sizeBytes
    ? undefined
    : `holds a disk of ${size} bytes, not ${sizeBytes}`;
}

/**
 * qemu-img gives each VMDK a random content id (`CID`); here it is the disk's. The header says at bytes 28 and 36
 * where the text that has it begins, and how much room there is, in sectors (VMware's Virtual Disk Format 5.0, Hosted
 * Sparse Extent Header).
 */
async function fixContentId(
  file: FileHandle,
  { sha256 }: RawImage,
): Promise<void> {
  const header = Buffer.alloc(512);
  await file.read(header, 0, header.length, 0);
  const start = Number(header.readBigUInt64LE(28)) * 512;
  const room = Buffer.alloc(Number(header.readBigUInt64LE(36)) * 512);
  await file.read(room, 0, room.length, start);
  const text = room.toString("latin1");
  const digest = createHash("sha256").update(`${sha256} CID`).digest("hex");
  // The first digit is 0, so that it cannot be the `ffffffff` that stands for no disk.
  const fixed = text.replace(/^CID=.*$/m, `CID=0${digest.slice(0, 7)}`);
  if (fixed === text) throw new BuildError("qemu-img wrote no CID");
  room.fill(0).write(fixed.replaceAll("\0", ""), "latin1");
  await file.write(room, 0, room.length, start);
}
