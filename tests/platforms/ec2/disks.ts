/** Small disk images. */

import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import {
  blockBytes,
  type RawDisk,
} from "../../../infra/platforms/ec2/snapshotRequest.ts";
import { sha256OfFile } from "../../../infra/store/digest.ts";

/** A file of that size with random bytes in some blocks, and holes elsewhere. */
export async function randomDisk(
  rawPath: string,
  sizeBytes: number,
  dataBlocks: Iterable<number>,
): Promise<RawDisk> {
  await using file = await open(rawPath, "w");
  for (const index of dataBlocks) {
    const length = Math.min(blockBytes, sizeBytes - index * blockBytes);
    await file.write(randomBytes(length), 0, length, index * blockBytes);
  }
  await file.truncate(sizeBytes);
  await file.sync();
  const { sha256 } = await sha256OfFile(rawPath);
  return { rawPath, rawSha256: sha256, sizeBytes };
}

/** `from`, …, `to` without the latter. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
