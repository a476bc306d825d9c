/**
 * Files with holes. Node cannot ask where holes are, so zeros are looked for: what comes out depends on the content
 * alone, and not on how a file system happens to keep it.
 */

import {
  chmod,
  constants,
  copyFile,
  type FileHandle,
  open,
} from "node:fs/promises";

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

/** The parts of a file that are not all zeros, in order; those that touch are one. */
export async function dataExtents(file: FileHandle): Promise<Extent[]> {
  const extents: Extent[] = [];
  for await (const { start, data } of grains(file)) {
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
 * @throws the operating system's error.
 */
export async function copySparsely(from: string, to: string): Promise<void> {
  const isCloned = await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
    .then(() => true)
    // Few file systems can; whatever else is wrong, the copy below says.
    .catch(() => false);
  if (isCloned) return chmod(to, 0o644);
  await using source = await open(from, "r");
  await using copy = await open(to, "w", 0o644);
  for await (const { start, data } of grains(source)) {
    await writeAll(copy, data, start);
  }
  await copy.truncate((await source.stat()).size);
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
  file: FileHandle,
): AsyncGenerator<{ readonly start: number; readonly data: Buffer }> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let position = 0; ; position += chunkBytes) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, position);
    for (let at = 0; at < bytesRead; at += grainBytes) {
      const data = chunk.subarray(at, Math.min(at + grainBytes, bytesRead));
      if (!data.equals(zeros.subarray(0, data.length))) {
        yield { start: position + at, data };
      }
    }
    if (bytesRead < chunkBytes) return;
  }
}
