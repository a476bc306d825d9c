/** Which parts of a disk somebody relies on, whatever they hold: see docs/decisions/0016-blocks-of-zeros.md. */

import type { FileHandle } from "node:fs/promises";
import type { Extent } from "../../store/sparseFile.ts";
import { readAt } from "./diskReading.ts";
import { ext4UsedExtents } from "./ext4Use.ts";
import { fatUsedExtents } from "./fatUse.ts";

// UEFI specification, 5.3: the header is in the second sector, and says where the entries are.
const sectorBytes = 512;
const gptSignature = "EFI PART";

/**
 * Parts of a disk that are read by someone who expects zeros where there are zeros: what an ext4 or FAT32 file
 * system has in use, and the whole of every other partition. `undefined` for a disk without partitions or ext4.
 *
 * @throws the operating system's error when the file cannot be read.
 */
export async function reliedExtents(
  file: FileHandle,
): Promise<Extent[] | undefined> {
  const partitions = await partitionsOf(file);
  if (partitions === undefined) return ext4UsedExtents(file, 0);
  const extents: Extent[] = [];
  for (const partition of partitions) {
    const used =
      (await ext4UsedExtents(file, partition.start)) ??
      (await fatUsedExtents(file, partition.start));
    for (const extent of used ?? [partition]) extents.push(extent);
  }
  return extents;
}

/** The partitions of a GPT. */
async function partitionsOf(file: FileHandle): Promise<Extent[] | undefined> {
  const header = await readAt(file, sectorBytes, sectorBytes);
  if (header.toString("latin1", 0, 8) !== gptSignature) return undefined;
  const entriesAt = Number(header.readBigUInt64LE(72)) * sectorBytes;
  const [count, bytes] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  const entries = await readAt(file, entriesAt, count * bytes);
  return Array.from({ length: count }, (_, index) =>
    entries.subarray(index * bytes, (index + 1) * bytes),
  )
    .filter((entry) => entry.subarray(0, 16).some((byte) => byte !== 0))
    .map((entry) => {
      const first = Number(entry.readBigUInt64LE(32));
      const last = Number(entry.readBigUInt64LE(40));
      return {
        start: first * sectorBytes,
        bytes: (last - first + 1) * sectorBytes,
      };
    });
}
