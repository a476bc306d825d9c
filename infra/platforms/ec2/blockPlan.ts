/** Which blocks of a disk make up its snapshot. */

import { open } from "node:fs/promises";
import { type Extent, keptExtents } from "../../store/sparseFile.ts";
import { reliedExtents } from "./diskUse.ts";
import { blockBytes, blockCount, type ZeroBlocks } from "./snapshotRequest.ts";

/** What is known of a disk. */
export interface DiskBlocks {
  readonly sizeBytes: number;
  /** Parts that may hold something else than zeros; those outside hold zeros. */
  readonly kept: readonly Extent[];
  /** Parts in which zeros count as data. */
  readonly relied: readonly Extent[];
}

const zeros = Buffer.alloc(blockBytes);

/**
 * The indices of the blocks to send, in order.
 *
 * @throws the operating system's error, or execa's, when the disk cannot be read.
 */
export async function planBlocks(
  path: string,
  sizeBytes: number,
  zeroBlocks: ZeroBlocks,
): Promise<readonly number[]> {
  const kept = await keptExtents(path);
  await using file = await open(path, "r");
  const relied =
    // Nobody speaks for such a disk but the file: what was written to it is data.
    zeroBlocks === "skip" ? [] : ((await reliedExtents(file)) ?? kept);
  const candidates = candidateBlocks({ sizeBytes, kept, relied });
  const buffer = Buffer.alloc(blockBytes);
  const plan: number[] = [];
  for (const { index, isRelied } of candidates) {
    // A snapshot of nothing could not be told from one that was not begun.
    if (isRelied || index === 0) {
      plan.push(index);
      continue;
    }
    const { bytesRead } = await file.read(
      buffer,
      0,
      blockBytes,
      index * blockBytes,
    );
    if (!isZeros(buffer.subarray(0, bytesRead))) plan.push(index);
  }
  return plan;
}

/** The blocks that may have to be sent, in order, and whether they must be. Pure. */
export function candidateBlocks({
  sizeBytes,
  kept,
  relied,
}: DiskBlocks): { readonly index: number; readonly isRelied: boolean }[] {
  const [mayBeData, mustBeSent] = [1, 2];
  const marks = new Uint8Array(blockCount(sizeBytes));
  const mark = (extents: readonly Extent[], value: number) => {
    for (const { start, bytes } of extents) {
      const end = Math.min(start + bytes, sizeBytes);
      const first = Math.floor(start / blockBytes);
      for (let index = first; index * blockBytes < end; index++) {
        marks[index] = (marks[index] ?? 0) | value;
      }
    }
  };
  mark([{ start: 0, bytes: 1 }, ...kept], mayBeData);
  mark(relied, mustBeSent);
  return Array.from(marks, (value, index) => ({ index, value }))
    .filter(({ value }) => value !== 0)
    .map(({ index, value }) => ({
      index,
      isRelied: (value & mustBeSent) !== 0,
    }));
}

/** Whether nothing but zeros is there; at most a block. */
export function isZeros(bytes: Uint8Array): boolean {
  return zeros.subarray(0, bytes.length).equals(bytes);
}
