/**
 * The blocks that tars are made of: the POSIX form (POSIX.1-2017, pax, ustar Interchange Format), and the form in
 * which GNU tar keeps sparse files (`oldgnu`; GNU tar's manual, Basic Tar Format). Pure.
 */

import type { Extent } from "../../store/sparseFile.ts";

const blockBytes = 512;

/** What a header says of its member. Numbers fit their fields. */
export interface HeaderFields {
  /** At most 100 bytes, as is `target`. */
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of what follows in the archive. */
  readonly sizeBytes: number;
  readonly seconds: number;
  readonly type: string;
  readonly target: string;
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Where fields are in a header; all but the last two are in both forms. */
const at = {
  name: 0,
  mode: 100,
  uid: 108,
  gid: 116,
  size: 124,
  modified: 136,
  sum: 148,
  type: 156,
  target: 157,
  magic: 257,
  major: 329,
  minor: 337,
  sparse: 386,
  realSize: 483,
};

/** How many extents there is room for in the header of a sparse file, and in each block after it. */
const extentsInHeader = 4;
const extentsInBlock = 21;
const extentBytes = 24;

/** Two empty blocks. */
export const endOfTar: Buffer = Buffer.alloc(2 * blockBytes);

/** What fills the last block of a member. */
export function paddingAfter(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

/** The header of a member, in the POSIX form. */
export function header(fields: HeaderFields): Buffer {
  const block = commonFields(fields);
  block.write("ustar\x0000", at.magic, "latin1");
  writeNumber(block, at.major, 8, fields.device?.major ?? 0);
  writeNumber(block, at.minor, 8, fields.device?.minor ?? 0);
  return withSum(block);
}

/**
 * The blocks before the data of a sparse file, in GNU tar's form.
 *
 * @param sizeBytes of the file with its holes
 * @param extents what follows in the archive; all else is zeros
 */
export function sparseHeader(
  fields: Omit<HeaderFields, "sizeBytes" | "type" | "target">,
  sizeBytes: number,
  extents: readonly Extent[],
): Buffer {
  // As GNU tar does: a hole at the end is an extent of nothing.
  const all = [...extents, { start: sizeBytes, bytes: 0 }];
  const block = commonFields({
    ...fields,
    sizeBytes: extents.reduce((sum, { bytes }) => sum + bytes, 0),
    type: "S",
    target: "",
  });
  block.write("ustar  \0", at.magic, "latin1");
  writeExtents(block, at.sparse, all.slice(0, extentsInHeader));
  writeNumber(block, at.realSize, 12, sizeBytes);
  const blocks = [block];
  for (let done = extentsInHeader; done < all.length; done += extentsInBlock) {
    const more = Buffer.alloc(blockBytes);
    writeExtents(more, 0, all.slice(done, done + extentsInBlock));
    blocks.push(more);
  }
  // A flag after the extents says that a block with more of them follows.
  blocks.slice(0, -1).forEach((each, index) => {
    each[
      index === 0
        ? at.sparse + extentsInHeader * extentBytes
        : extentsInBlock * extentBytes
    ] = 1;
  });
  withSum(block);
  return Buffer.concat(blocks);
}

function writeExtents(
  block: Buffer,
  position: number,
  extents: readonly Extent[],
): void {
  extents.forEach(({ start, bytes }, index) => {
    const place = position + index * extentBytes;
    writeNumber(block, place, 12, start);
    writeNumber(block, place + 12, 12, bytes);
  });
}

function commonFields(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.write(fields.name, at.name, 100, "latin1");
  writeNumber(block, at.mode, 8, fields.mode);
  writeNumber(block, at.uid, 8, fields.uid);
  writeNumber(block, at.gid, 8, fields.gid);
  writeNumber(block, at.size, 12, fields.sizeBytes);
  writeNumber(block, at.modified, 12, fields.seconds);
  block.write(fields.type, at.type, 1, "latin1");
  block.write(fields.target, at.target, 100, "latin1");
  return block;
}

/** In octal digits; as GNU tar has it, in binary, where they do not suffice. */
function writeNumber(
  block: Buffer,
  position: number,
  bytes: number,
  value: number,
): void {
  const digits = value.toString(8).padStart(bytes - 1, "0");
  if (digits.length < bytes) {
    block.write(`${digits}\0`, position, "latin1");
    return;
  }
  block[position] = 0x80;
  block.writeBigUInt64BE(BigInt(value), position + bytes - 8);
}

/** The sum of all bytes, its own field taken for spaces. */
function withSum(block: Buffer): Buffer {
  block.write(" ".repeat(8), at.sum, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, at.sum, "latin1");
  return block;
}
