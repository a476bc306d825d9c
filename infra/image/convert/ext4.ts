/**
 * Reads the files of an ext4 file system inside a disk image: no mount, no loop device, no root's rights, and no
 * copy on the way. debugfs, the one program that does as much, loses extended attributes, hard links and the owners
 * of symbolic links (docs/decisions/0010-formats.md).
 *
 * It knows what infra/image/build/assemble.ts makes and refuses the rest. Field offsets are those of the kernel's
 * Documentation/filesystems/ext4.
 */

import type { FileHandle } from "node:fs/promises";
import { BuildError } from "../../errors.ts";
import type { TreeEntry } from "./fileTree.ts";

const superblockOffset = 1024;
const magic = 0xef53;
const rootInode = 2;

/** Incompatible features that are understood here: filetype, extents, 64bit, flex_bg. */
const knownFeatures = 0x2 | 0x40 | 0x80 | 0x200;
const feature64bit = 0x80;

const inodeFlags = { extents: 0x8_0000 };

const extentMagic = 0xf30a;
/** An extent that is longer is one of zeros, and as much shorter. */
const longestWritten = 32_768;

const attributeMagic = 0xea02_0000;
const attributePrefixes: Readonly<Record<number, string>> = {
  1: "user.",
  2: "system.posix_acl_access",
  3: "system.posix_acl_default",
  4: "trusted.",
  6: "security.",
  7: "system.",
};

/** A symbolic link that is shorter lies in its inode. */
const inodeDataBytes = 60;
/** Bytes read at once. */
const chunkBytes = 1024 * 1024;

const kinds: Readonly<Record<number, TreeEntry["kind"]>> = {
  1: "fifo",
  2: "character device",
  4: "directory",
  6: "block device",
  8: "file",
  10: "symbolic link",
};

interface Superblock {
  readonly blockBytes: number;
  readonly inodesPerGroup: number;
  readonly inodeBytes: number;
  readonly descriptorBytes: number;
  /** The block after the superblock's. */
  readonly descriptorsBlock: number;
}

/** An inode's bytes and what every use of them needs. */
interface Inode {
  readonly number: number;
  readonly bytes: Buffer;
  readonly sizeBytes: number;
}

/** Blocks in a row, or a hole: `start` is `undefined` then. */
interface Run {
  readonly start: number | undefined;
  readonly blocks: number;
}

/** A file system, open for reading. */
export class Ext4 {
  readonly #disk: FileHandle;
  /** Where the file system begins on the disk, in bytes. */
  readonly #offset: number;
  readonly #super: Superblock;
  /** Inode tables that were read, by their group. */
  readonly #tables = new Map<number, Buffer>();

  private constructor(disk: FileHandle, offset: number, block: Superblock) {
    this.#disk = disk;
    this.#offset = offset;
    this.#super = block;
  }

  /**
   * @param offsetBytes where the file system begins on the disk
   * @throws {BuildError} when there is none, or one with features that are not understood.
   */
  static async open(disk: FileHandle, offsetBytes: number): Promise<Ext4> {
    const bytes = await readAt(disk, offsetBytes + superblockOffset, 1024);
    if (bytes.readUInt16LE(0x38) !== magic) {
      throw new BuildError(`There is no ext4 at byte ${offsetBytes}.`);
    }
    const features = bytes.readUInt32LE(0x60);
    const unknown = features & ~knownFeatures;
    if (unknown !== 0) {
      throw new BuildError(
        `The ext4 at byte ${offsetBytes} has features that cannot be read here: 0x${(unknown >>> 0).toString(16)}.`,
      );
    }
    return new Ext4(disk, offsetBytes, {
      blockBytes: 1024 << bytes.readUInt32LE(0x18),
      inodesPerGroup: bytes.readUInt32LE(0x28),
      inodeBytes: bytes.readUInt16LE(0x58),
      descriptorBytes: features & feature64bit ? bytes.readUInt16LE(0xfe) : 32,
      descriptorsBlock: bytes.readUInt32LE(0x14) + 1,
    });
  }

  /**
   * Every name, parents first and siblings in the order of their bytes, but for the `lost+found` that ext4 itself
   * keeps in its root.
   *
   * @throws {BuildError} for what is damaged, or cannot be in a tar: a socket.
   */
  async *entries(): AsyncGenerator<TreeEntry> {
    yield* this.#walk(rootInode, "", new Map());
  }

  async *#walk(
    number: number,
    path: string,
    seen: Map<number, string>,
  ): AsyncGenerator<TreeEntry> {
    const inode = await this.#inode(number);
    const entry = await this.#entry(inode, path, seen);
    yield entry;
    if (entry.kind !== "directory") return;
    for (const [name, child] of await this.#names(inode)) {
      if (path === "" && name === "lost+found") continue;
      yield* this.#walk(child, path === "" ? name : `${path}/${name}`, seen);
    }
  }

  async #entry(
    inode: Inode,
    path: string,
    seen: Map<number, string>,
  ): Promise<TreeEntry> {
    const { bytes, number, sizeBytes } = inode;
    const mode = bytes.readUInt16LE(0);
    const member = {
      path,
      mode: mode & 0o7777,
      uid: bytes.readUInt16LE(0x2) + bytes.readUInt16LE(0x78) * 0x1_0000,
      gid: bytes.readUInt16LE(0x18) + bytes.readUInt16LE(0x7a) * 0x1_0000,
      modified: modifiedOf(bytes),
      attributes: await this.#attributes(inode),
    };
    const kind = kinds[mode >> 12];
    const links = bytes.readUInt16LE(0x1a);
    if (kind !== "directory" && links > 1) {
      const target = seen.get(number);
      if (target !== undefined) return { ...member, kind: "hard link", target };
      seen.set(number, path);
    }
    switch (kind) {
      case "directory":
      case "fifo":
        return { ...member, kind };
      case "file": {
        const read = () => this.#content(inode);
        return { ...member, kind, sizeBytes, read };
      }
      case "symbolic link":
        return { ...member, kind, target: await this.#target(inode) };
      case "character device":
      case "block device":
        return { ...member, kind, ...deviceOf(bytes) };
      default:
        throw new BuildError(
          `/${path} is a socket, or nothing that Linux knows, and cannot be in a tar. Remove it in a script of the config space.`,
        );
    }
  }

  async #inode(number: number): Promise<Inode> {
    const { inodeBytes, inodesPerGroup } = this.#super;
    const group = Math.floor((number - 1) / inodesPerGroup);
    const table = await this.#table(group);
    const start = ((number - 1) % inodesPerGroup) * inodeBytes;
    const bytes = table.subarray(start, start + inodeBytes);
    const sizeBytes =
      bytes.readUInt32LE(0x4) + bytes.readUInt32LE(0x6c) * 0x1_0000_0000;
    return { number, bytes, sizeBytes };
  }

  async #table(group: number): Promise<Buffer> {
    const known = this.#tables.get(group);
    if (known !== undefined) return known;
    const { blockBytes, descriptorBytes, descriptorsBlock } = this.#super;
    const descriptor = await readAt(
      this.#disk,
      this.#offset + descriptorsBlock * blockBytes + group * descriptorBytes,
      descriptorBytes,
    );
    const high = descriptorBytes >= 64 ? descriptor.readUInt32LE(0x28) : 0;
    const block = descriptor.readUInt32LE(0x8) + high * 0x1_0000_0000;
    const table = await this.#read(
      block,
      this.#super.inodesPerGroup * this.#super.inodeBytes,
    );
    this.#tables.set(group, table);
    return table;
  }

  /** Names in a directory with their inodes, sorted; without itself and its parent. */
  async #names(inode: Inode): Promise<[string, number][]> {
    const names: [string, number][] = [];
    for await (const block of this.#content(inode)) {
      for (let at = 0; at < block.length; ) {
        const number = block.readUInt32LE(at);
        const length = block.readUInt16LE(at + 4);
        if (length < 8) damaged(inode, "directory");
        const name = block.toString(
          "latin1",
          at + 8,
          at + 8 + block.readUInt8(at + 6),
        );
        // Inode 0: what was deleted, checksums, and the tree by which long directories are searched.
        if (number !== 0 && name !== "." && name !== "..") {
          names.push([name, number]);
        }
        at += length;
      }
    }
    return names.sort(([one], [other]) => (one < other ? -1 : 1));
  }

  async #target(inode: Inode): Promise<string> {
    const { bytes, sizeBytes } = inode;
    if (!hasExtents(inode) && sizeBytes < inodeDataBytes) {
      return bytes.toString("latin1", 0x28, 0x28 + sizeBytes);
    }
    const chunks = [];
    for await (const chunk of this.#content(inode)) chunks.push(chunk);
    return Buffer.concat(chunks).toString("latin1");
  }

  async *#content(inode: Inode): AsyncGenerator<Buffer> {
    const { blockBytes } = this.#super;
    let left = inode.sizeBytes;
    if (left === 0) return;
    if (!hasExtents(inode)) damaged(inode, "list of extents");
    for (const { start, blocks } of await this.#runs(inode)) {
      for (let done = 0; done < blocks * blockBytes && left > 0; ) {
        const bytes = Math.min(chunkBytes, blocks * blockBytes - done, left);
        yield start === undefined
          ? Buffer.alloc(bytes)
          : await this.#read(start + done / blockBytes, bytes);
        done += bytes;
        left -= bytes;
      }
    }
  }

  /** Everything from the first byte to the last, holes included. */
  async #runs(inode: Inode): Promise<readonly Run[]> {
    const runs: Run[] = [];
    let position = 0;
    const addHole = (end: number) => {
      if (end > position) {
        runs.push({ start: undefined, blocks: end - position });
      }
    };
    const root = inode.bytes.subarray(0x28, 0x28 + inodeDataBytes);
    for await (const { first, ...run } of this.#extents(inode, root)) {
      addHole(first);
      runs.push(run);
      position = first + run.blocks;
    }
    addHole(Math.ceil(inode.sizeBytes / this.#super.blockBytes));
    return runs;
  }

  /** Extents below a node of the tree, in order. `first`: which block of the file a run begins with. */
  async *#extents(
    inode: Inode,
    node: Buffer,
  ): AsyncGenerator<Run & { readonly first: number }> {
    if (node.readUInt16LE(0) !== extentMagic) damaged(inode, "list of extents");
    const isLeaf = node.readUInt16LE(6) === 0;
    for (let index = 0; index < node.readUInt16LE(2); index++) {
      const item = node.subarray(12 + index * 12, 24 + index * 12);
      if (isLeaf) {
        const length = item.readUInt16LE(4);
        const isWritten = length <= longestWritten;
        const block = item.readUInt32LE(8) + item.readUInt16LE(6) * 2 ** 32;
        yield {
          first: item.readUInt32LE(0),
          start: isWritten ? block : undefined,
          blocks: isWritten ? length : length - longestWritten,
        };
      } else {
        const block = item.readUInt32LE(4) + item.readUInt16LE(8) * 2 ** 32;
        yield* this.#extents(
          inode,
          await this.#read(block, this.#super.blockBytes),
        );
      }
    }
  }

  async #attributes(inode: Inode): Promise<ReadonlyMap<string, Buffer>> {
    const { bytes } = inode;
    const found: [string, Buffer][] = [];
    const inside = 128 + bytes.readUInt16LE(0x80);
    if (
      inside + 4 <= bytes.length &&
      bytes.readUInt32LE(inside) === attributeMagic
    ) {
      const area = bytes.subarray(inside + 4);
      found.push(...attributesIn(inode, area, area));
    }
    const high = bytes.readUInt16LE(0x76) * 0x1_0000_0000;
    const number = bytes.readUInt32LE(0x68) + high;
    if (number !== 0) {
      const block = await this.#read(number, this.#super.blockBytes);
      if (block.readUInt32LE(0) !== attributeMagic) {
        damaged(inode, "block of extended attributes");
      }
      found.push(...attributesIn(inode, block.subarray(32), block));
    }
    return new Map(found.sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  #read(block: number, bytes: number): Promise<Buffer> {
    return readAt(
      this.#disk,
      this.#offset + block * this.#super.blockBytes,
      bytes,
    );
  }
}

async function readAt(
  disk: FileHandle,
  position: number,
  bytes: number,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  const { bytesRead } = await disk.read(buffer, 0, bytes, position);
  if (bytesRead === bytes) return buffer;
  throw new BuildError(
    `The disk ends at byte ${position + bytesRead}, in the middle of its file system.`,
  );
}

function hasExtents({ bytes }: Inode): boolean {
  return (bytes.readUInt32LE(0x20) & inodeFlags.extents) !== 0;
}

/** The lower two bits of the extra field count what does not fit into 32 bits of seconds; the rest, nanoseconds. */
function modifiedOf(bytes: Buffer): TreeEntry["modified"] {
  const extra = bytes.readUInt32LE(0x88);
  return {
    seconds: bytes.readInt32LE(0x10) + (extra & 3) * 0x1_0000_0000,
    nanoseconds: extra >>> 2,
  };
}

/** The kernel's old and new form of device numbers: the new one is in the second word. */
function deviceOf(bytes: Buffer): { major: number; minor: number } {
  const old = bytes.readUInt32LE(0x28);
  if (old !== 0) return { major: (old >> 8) & 0xff, minor: old & 0xff };
  const device = bytes.readUInt32LE(0x2c);
  return {
    major: (device >> 8) & 0xfff,
    minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
  };
}

/** @param values what the values' offsets count from */
function attributesIn(
  inode: Inode,
  area: Buffer,
  values: Buffer,
): [string, Buffer][] {
  const found: [string, Buffer][] = [];
  for (let at = 0; at + 16 <= area.length && area.readUInt32LE(at) !== 0; ) {
    const nameBytes = area.readUInt8(at);
    const prefix = attributePrefixes[area.readUInt8(at + 1)];
    const start = area.readUInt16LE(at + 2);
    const value = values.subarray(start, start + area.readUInt32LE(at + 8));
    // One that lies in an inode of its own: a feature of its own, too.
    if (prefix === undefined || area.readUInt32LE(at + 4) !== 0) {
      damaged(inode, "extended attribute");
    }
    const name = prefix + area.toString("latin1", at + 16, at + 16 + nameBytes);
    const isList = prefix.startsWith("system.posix_acl_");
    found.push([name, isList ? accessList(value) : value]);
    at += 16 + Math.ceil(nameBytes / 4) * 4;
  }
  return found;
}

/**
 * An access control list as programs are given it (version 2: each item has an id) from the form on the disk
 * (version 1: only users and groups that are named have one).
 */
function accessList(onDisk: Buffer): Buffer {
  const items = [];
  for (let at = 4; at < onDisk.length; ) {
    const tag = onDisk.readUInt16LE(at);
    const isNamed = tag === 0x2 || tag === 0x8;
    const item = Buffer.alloc(8, 0xff);
    onDisk.copy(item, 0, at, at + (isNamed ? 8 : 4));
    items.push(item);
    at += isNamed ? 8 : 4;
  }
  const version = Buffer.alloc(4);
  version.writeUInt32LE(2);
  return Buffer.concat([version, ...items]);
}

function damaged({ number }: Inode, what: string): never {
  throw new BuildError(
    `Inode ${number} has a ${what} that cannot be read here. Check the file system with e2fsck.`,
  );
}
