/** Which parts of a partition a FAT32 file system has in use, by its own table. */

import type { FileHandle } from "node:fs/promises";
import type { Extent } from "../../store/sparseFile.ts";
import { readAt } from "./diskReading.ts";

// Layout and numbers: "Microsoft Extensible Firmware Initiative FAT32 File System Specification", 1.03.
const bootSectorBytes = 512;
const bootSignature = 0xaa55;
const typeText = "FAT32   ";
const entryBytes = 4;
/** The upper four bits of an entry mean nothing. */
const entryMask = 0x0fffffff;
/** The first two entries stand for no cluster. */
const firstCluster = 2;

/**
 * The parts that the file system has in use: all before the first cluster, and each cluster that is not free.
 * `undefined` when there is no FAT32.
 *
 * @param start where the partition begins, in bytes
 * @throws the operating system's error when the file cannot be read.
 */
export async function fatUsedExtents(
  file: FileHandle,
  start: number,
): Promise<Extent[] | undefined> {
  const sector = await readAt(file, start, bootSectorBytes);
  if (
    sector.length < bootSectorBytes ||
    sector.readUInt16LE(510) !== bootSignature ||
    sector.toString("latin1", 82, 90) !== typeText
  ) {
    return undefined;
  }
  const sectorBytes = sector.readUInt16LE(11);
  const clusterBytes = sector.readUInt8(13) * sectorBytes;
  const tableStart = sector.readUInt16LE(14) * sectorBytes;
  const tableBytes = sector.readUInt32LE(36) * sectorBytes;
  const dataStart = tableStart + sector.readUInt8(16) * tableBytes;
  const extents: Extent[] = [{ start, bytes: dataStart }];
  const table = await readAt(file, start + tableStart, tableBytes);
  const dataBytes = sector.readUInt32LE(32) * sectorBytes - dataStart;
  const clusters = Math.floor(dataBytes / clusterBytes);
  const entries = Math.min(table.length / entryBytes, clusters + firstCluster);
  for (let entry = firstCluster; entry < entries; entry++) {
    if ((table.readUInt32LE(entry * entryBytes) & entryMask) === 0) continue;
    const offset = dataStart + (entry - firstCluster) * clusterBytes;
    extents.push({ start: start + offset, bytes: clusterBytes });
  }
  return extents;
}
