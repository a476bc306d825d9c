/**
 * Files with holes. Zeros are looked for in what the file system keeps: what comes out depends on the content alone, and
 * the holes of large disks cost nothing.
 */

import {
  chmod,
  constants,
  copyFile,
  type FileHandle,
  open,
  stat,
} from "node:fs/promises";
import { execa } from "execa";
import { z } from "zod";

/** A part of a file, in bytes. */
export interface Extent {
  readonly start: number;
  readonly bytes: number;
}

/** Bytes that are a hole, or are not: no smaller ones, so that lists of them stay short. */
const grainBytes = 64 * 1024;
/** Bytes read at once: sixteen grains. */
const chunkBytes = 1024 * 1024;

const zeros = Buffer.alloc(grainBytes);

const mapSchema = z.array(
  z.object({ start: z.int(), length: z.int(), data: z.boolean() }),
);

/**
 * The parts of a file that its file system keeps, in order; between them are holes, which read as zeros. Node cannot ask
 * for them.
 *
 * @throws execa's error when qemu-img cannot tell.
 */
export async function keptExtents(path: string): Promise<Extent[]> {
  const { stdout } = await execa("qemu-img", [
    "map",
    ...["-f", "raw"],
    "--output=json",
    path,
  ]);
  return mapSchema
    .parse(JSON.parse(stdout))
    .filter(({ data }) => data)
    .map(({ start, length }) => ({ start, bytes: length }));
}

/**
 * The parts of a file that are not all zeros, in order; those that touch are one.
 *
 * @throws the operating system's error, or that of {@link keptExtents}.
 */
export async function dataExtents(path: string): Promise<Extent[]> {
  const extents: Extent[] = [];
  for await (const { start, data } of grains(path)) {
    const last = extents.at(-1);
    if (last !== undefined && last.start + last.bytes === start) {
      extents[extents.length - 1] = {
        start: last.start,
        bytes: last.bytes + data.length,
      };
    } else extents.push({ start, bytes: data.length });
  }
  return extents;
}

/**
 * Copies a file, which the file system may do by reference; otherwise zeros become holes.
 *
 * @param to is written over when it exists; belongs to the caller, who may write to it
 * @throws the operating system's error, or that of {@link keptExtents}.
 */
export async function copySparsely(from: string, to: string): Promise<void> {
  const isCloned = await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
    .then(() => true)
    // Few file systems can; whatever else is wrong, the copy below says.
    .catch(() => false);
  if (isCloned) return chmod(to, 0o644);
  await using copy = await open(to, "w", 0o644);
  for await (const { start, data } of grains(from)) {
    await writeAll(copy, data, start);
  }
  await copy.truncate((await stat(from)).size);
}

/**
 * Writes bytes to a new file, with holes where there are zeros.
 *
 * @returns how many there were
 * @throws the operating system's error, `EEXIST` when there is such a file.
 */
export async function writeSparsely(
  bytes: AsyncIterable<Uint8Array>,
  path: string,
): Promise<number> {
  await using file = await open(path, "wx", 0o644);
  let position = 0;
  for await (const chunk of bytes) {
    let rest = chunk;
    while (rest.length > 0) {
      const data = rest.subarray(0, grainBytes - (position % grainBytes));
      if (Buffer.compare(data, zeros.subarray(0, data.length)) !== 0) {
        await writeAll(file, data, position);
      }
      position += data.length;
      rest = rest.subarray(data.length);
    }
  }
  await file.truncate(position);
  return position;
}

/** A file system that is nearly full takes a part and says so only to the next write. */
async function writeAll(file: FileHandle, data: Uint8Array, position: number) {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await file.write(
      data,
      done,
      data.length - done,
      position + done,
    );
    done += bytesWritten;
  }
}

/** The grains that are not all zeros. Their bytes are good until the next one is asked for. */
async function* grains(
  path: string,
): AsyncGenerator<{ readonly start: number; readonly data: Buffer }> {
  await using file = await open(path, "r");
  const kept = await keptExtents(path);
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let position = 0;
  for (const { start, bytes } of kept) {
    // A file system's blocks are smaller than grains, so two extents may be in the same one.
    position = Math.max(position, start - (start % grainBytes));
    while (position < start + bytes) {
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
      if (bytesRead === 0) return;
      for (let at = 0; at < bytesRead; at += grainBytes) {
        const data = chunk.subarray(at, Math.min(at + grainBytes, bytesRead));
        if (!data.equals(zeros.subarray(0, data.length))) {
          yield { start: position + at, data };
        }
      }
      position += chunkBytes;
    }
  }
}
