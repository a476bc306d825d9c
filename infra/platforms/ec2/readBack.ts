/** Compares what a snapshot holds with the image that it was made from. */

import { createHash, type Hash, randomInt } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { AwsAccess } from "../../aws/access.ts";
import { WrongCopyError } from "../../errors.ts";
import type { Verification } from "../../store/records.ts";
import type { Sha256 } from "../../store/store.ts";
import { isZeros } from "./blockPlan.ts";
import { type ReaderSettings, SnapshotReader } from "./snapshotReader.ts";
import {
  blockBytes,
  blockCount,
  type ReadBackExtent,
  type ReadBackRequest,
  type Tell,
} from "./snapshotRequest.ts";
import { TransferProgress } from "./transferProgress.ts";

const zeroBlock = Buffer.alloc(blockBytes);

/**
 * Compares a snapshot with the disk that it was made from. Blocks that it does not have must be zeros there.
 *
 * @throws {WrongCopyError} naming the first block that differs.
 * @throws {UserError | PublicationError} when it cannot be read.
 */
export async function readSnapshotBack(
  request: ReadBackRequest,
  tell: Tell,
  settings: ReaderSettings,
): Promise<Verification> {
  const { access, snapshotId, rawPath, rawSha256, sizeBytes } = request;
  const reader = await SnapshotReader.open(access, snapshotId, settings);
  const chosen = chosenBlocks(reader.indices, request.extent);
  const isAll = chosen.length === reader.indices.length;
  const hash = createHash("sha256");
  await using file = await open(rawPath, "r");
  const own = Buffer.alloc(blockBytes);
  for await (const { index, data } of inOrder(reader, chosen, request, tell)) {
    await readBlock(file, index, own);
    if (!own.equals(data)) {
      throw new WrongCopyError(
        `Block ${index} of the snapshot ${snapshotId} in ${access.region} is not that of ${request.label} (${blockBytes} bytes from ${index * blockBytes} on of the image ${rawSha256}). Run scripts/pulumi up --refresh to have it made again.`,
      );
    }
    addBlock(hash, index, data, sizeBytes);
  }
  const allBlocks = blockCount(sizeBytes);
  const verifiedAt = new Date().toISOString();
  if (!isAll) return { readBlocks: chosen.length, allBlocks, verifiedAt };
  const sha256 = hash.digest("hex") as Sha256;
  if (sha256 !== rawSha256) {
    throw new WrongCopyError(
      `The image in the store that should be ${rawSha256} is ${sha256}, and so is the snapshot ${snapshotId}. Run scripts/pulumi up --refresh to have both made again.`,
    );
  }
  return { sha256, readBlocks: allBlocks, allBlocks, verifiedAt };
}

/**
 * The sha256 of a disk of that size in a snapshot, for those who do not have the image.
 *
 * @throws {WrongCopyError} when the snapshot holds something behind the disk.
 * @throws {UserError | PublicationError} when it cannot be read.
 */
export async function sha256OfSnapshot(
  access: AwsAccess,
  snapshotId: string,
  sizeBytes: number,
  tell: Tell,
  settings: ReaderSettings,
): Promise<Sha256> {
  const reader = await SnapshotReader.open(access, snapshotId, settings);
  const hash = createHash("sha256");
  const blocks = inOrder(reader, reader.indices, { sizeBytes }, tell);
  for await (const { index, data } of blocks) {
    const inside = addBlock(hash, index, data, sizeBytes);
    if (!isZeros(data.subarray(inside))) {
      throw new WrongCopyError(
        `The snapshot ${snapshotId} in ${access.region} has data in block ${index}, behind the image's ${sizeBytes} bytes: it is another disk.`,
      );
    }
  }
  return hash.digest("hex") as Sha256;
}

/** All blocks that a snapshot has, or some of them by chance; in order. */
function chosenBlocks(
  indices: readonly number[],
  extent: ReadBackExtent,
): readonly number[] {
  if (extent === "all" || extent.blocks >= indices.length) return indices;
  const left = [...indices];
  const chosen = Array.from({ length: extent.blocks }, () => {
    const [index] = left.splice(randomInt(left.length), 1);
    return index as number;
  });
  return chosen.sort((one, other) => one - other);
}

/** The chosen blocks of a disk, and those that the snapshot does not have, in order. */
async function* inOrder(
  reader: SnapshotReader,
  chosen: readonly number[],
  { sizeBytes }: { readonly sizeBytes: number },
  tell: Tell,
): AsyncGenerator<{ readonly index: number; readonly data: Buffer }> {
  const allBytes = chosen.length * blockBytes;
  const progress = new TransferProgress("read back", allBytes, tell);
  const isChosen = new Set(chosen);
  const read = reader.blocks(chosen);
  const end = Math.max(
    blockCount(sizeBytes),
    (reader.indices.at(-1) ?? -1) + 1,
  );
  for (let index = 0; index < end; index++) {
    if (isChosen.has(index)) {
      const { value } = await read.next();
      if (value === undefined) return;
      yield { index, data: value };
      progress.add(blockBytes);
    } else if (!reader.has(index)) yield { index, data: zeroBlock };
  }
}

/** Adds what of a block is inside the disk, and says how many bytes that are. */
function addBlock(
  hash: Hash,
  index: number,
  data: Buffer,
  sizeBytes: number,
): number {
  const rest = sizeBytes - index * blockBytes;
  const inside = Math.max(0, Math.min(rest, blockBytes));
  hash.update(data.subarray(0, inside));
  return inside;
}

/** Reads one block of a disk; behind its end there are zeros. */
export async function readBlock(
  file: FileHandle,
  index: number,
  block: Buffer,
): Promise<void> {
  const position = index * blockBytes;
  const { bytesRead } = await file.read(block, 0, blockBytes, position);
  block.fill(0, bytesRead);
}
