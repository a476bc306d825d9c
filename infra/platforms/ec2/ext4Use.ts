/** Which parts of a partition an ext4 file system has in use, by its own bitmaps. */

import type { FileHandle } from "node:fs/promises";
import type { Extent } from "../../store/sparseFile.ts";
import { readAt } from "./diskReading.ts";

// Layout and numbers: Documentation/filesystems/ext4 of the kernel.
const superblockAt = 1024;
const superblockBytes = 1024;
const magic = 0xef53;
const isUninitialized = 0x2;
const smallDescriptorBytes = 32;
const features = {
  sparseSuper2: 0x200,
  needsRecovery: 0x4,
  metaGroups: 0x10,
  has64Bit: 0x80,
  sparseSuper: 0x1,
  clusters: 0x200,
} as const;

/** What the superblock says, in blocks where nothing else is said. */
interface Layout {
  readonly blockBytes: number;
  readonly firstBlock: number;
  readonly blocks: number;
  readonly groupBlocks: number;
  readonly groups: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBytes: number;
  /** A copy of the superblock with the descriptors, and what is kept free for more of them. */
  readonly copyBlocks: number;
  readonly hasFewCopies: boolean;
}

/**
 * The parts that the file system has in use, its own tables and journal included; not in order, and some more than
 * once. `undefined` when there is no ext4, or one of a kind that is not known here.
 *
 * @param start where the partition begins, in bytes
 * @throws the operating system's error when the file cannot be read.
 */
export async function ext4UsedExtents(
  file: FileHandle,
  start: number,
): Promise<Extent[] | undefined> {
  const layout = layoutOf(
    await readAt(file, start + superblockAt, superblockBytes),
  );
  if (layout === undefined) return undefined;
  const { blockBytes, firstBlock, groupBlocks, inodeTableBlocks } = layout;
  const extents: Extent[] = [];
  const use = (block: number, count: number) =>
    extents.push({
      start: start + block * blockBytes,
      bytes: count * blockBytes,
    });
  use(0, firstBlock + layout.copyBlocks);
  const descriptors = await readAt(
    file,
    start + (firstBlock + 1) * blockBytes,
    layout.groups * layout.descriptorBytes,
  );
  for (let group = 0; group < layout.groups; group++) {
    const { blockBitmap, inodeBitmap, inodeTable, flags } = descriptorOf(
      descriptors.subarray(group * layout.descriptorBytes),
      layout,
    );
    use(blockBitmap, 1);
    use(inodeBitmap, 1);
    use(inodeTable, inodeTableBlocks);
    const first = firstBlock + group * groupBlocks;
    const count = Math.min(groupBlocks, layout.blocks - first);
    if (flags & isUninitialized) {
      // Its bitmap was never written: nothing is in use but what stands in every such group.
      if (hasCopy(group, layout)) {
        use(first, Math.min(layout.copyBlocks, count));
      }
      continue;
    }
    const bitmap = await readAt(
      file,
      start + blockBitmap * blockBytes,
      Math.ceil(count / 8),
    );
    for (const [from, length] of runsOfOnes(bitmap, count)) {
      use(first + from, length);
    }
  }
  return extents;
}

function layoutOf(superblock: Buffer): Layout | undefined {
  if (superblock.length < superblockBytes) return undefined;
  const u16 = (at: number) => superblock.readUInt16LE(at);
  const u32 = (at: number) => superblock.readUInt32LE(at);
  if (u16(0x38) !== magic) return undefined;
  const [compatible, incompatible, readOnly] = [
    u32(0x5c),
    u32(0x60),
    u32(0x64),
  ];
  const isUnknown =
    compatible & features.sparseSuper2 ||
    incompatible & (features.metaGroups | features.needsRecovery) ||
    readOnly & features.clusters;
  const has64Bit = (incompatible & features.has64Bit) !== 0;
  const blockBytes = 1024 << u32(0x18);
  const firstBlock = u32(0x14);
  const blocks = u32(0x04) + (has64Bit ? u32(0x150) * 2 ** 32 : 0);
  const groupBlocks = u32(0x20);
  if (isUnknown || groupBlocks === 0) return undefined;
  const groups = Math.ceil((blocks - firstBlock) / groupBlocks);
  const descriptorBytes = has64Bit ? u16(0xfe) : smallDescriptorBytes;
  const descriptorBlocks = Math.ceil((groups * descriptorBytes) / blockBytes);
  return {
    ...{ blockBytes, firstBlock, blocks, groupBlocks, groups },
    inodeTableBlocks: Math.ceil((u32(0x28) * u16(0x58)) / blockBytes),
    descriptorBytes,
    copyBlocks: 1 + descriptorBlocks + u16(0xce),
    hasFewCopies: (readOnly & features.sparseSuper) !== 0,
  };
}

function descriptorOf(bytes: Buffer, { descriptorBytes }: Layout) {
  const isLong = descriptorBytes > smallDescriptorBytes;
  const block = (at: number) =>
    bytes.readUInt32LE(at) +
    (isLong ? bytes.readUInt32LE(at + smallDescriptorBytes) * 2 ** 32 : 0);
  return {
    blockBitmap: block(0),
    inodeBitmap: block(4),
    inodeTable: block(8),
    flags: bytes.readUInt16LE(0x12),
  };
}

/** Groups 0 and 1, and powers of 3, 5 and 7, have copies; all groups have where `sparse_super` is off. */
function hasCopy(group: number, { hasFewCopies }: Layout): boolean {
  if (!hasFewCopies || group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

/** Where ones stand together: first bit and length. */
function* runsOfOnes(
  bitmap: Buffer,
  count: number,
): Generator<readonly [from: number, length: number]> {
  let from: number | undefined;
  for (let bit = 0; bit < count; bit++) {
    const isOne = ((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1;
    if (isOne) {
      from ??= bit;
    } else if (from !== undefined) {
      yield [from, bit - from];
      from = undefined;
    }
  }
  if (from !== undefined) yield [from, count - from];
}
