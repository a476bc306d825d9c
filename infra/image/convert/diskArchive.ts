/**
 * A raw disk as a compressed tar with one sparse member, `disk.raw`: what Google Compute Engine imports (tar.gz), and
 * what Debian's own tools exchange (tar.xz). https://cloud.google.com/compute/docs/import/import-existing-image asks
 * for this member's name and for GNU tar's older form.
 *
 * GNU tar would write it, too, but it lets the file system decide what a hole is: the same disk would give other
 * bytes elsewhere. It is the one that reads it back.
 */

import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { sha256OfFile } from "../../store/digest.ts";
import { dataExtents, type Extent } from "../../store/sparseFile.ts";
import {
  type Compression,
  compressionMemoryMiB,
  compressTo,
} from "./compression.ts";
import type { Converter, RawImage } from "./rawImage.ts";
import { endOfTar, paddingAfter, sparseHeader } from "./tarHeader.ts";

const member = "disk.raw";
const chunkBytes = 1024 * 1024;
/** Pieces of the archive on their way, in this process. */
const bufferMiB = 64;

/** The archive compressed in that way. */
export function diskArchive(compression: Compression): Converter {
  return {
    memoryMiB: compressionMemoryMiB(compression) + bufferMiB,
    write: (raw, path) => compressTo(path, compression, diskTar(raw)),
    async readBack({ sha256 }, path) {
      const found = await sha256OfMember(path);
      return found === sha256
        ? undefined
        : `holds a disk of sha256 ${found}, not ${sha256}`;
    },
  };
}

/**
 * sha256 of the disk as users unpack it, zeros included. To a pipe GNU tar would write holes in pieces of 512 bytes,
 * which takes longer than all the rest.
 */
async function sha256OfMember(path: string): Promise<string> {
  const directory = `${path}.unpacked`;
  await mkdir(directory);
  try {
    await execa("tar", [
      "--extract",
      `--file=${path}`,
      `--directory=${directory}`,
      member,
    ]);
    return (await sha256OfFile(join(directory, member))).sha256;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The archive before it is compressed, piece by piece. */
export async function* diskTar({
  path,
  epochSeconds,
}: Pick<RawImage, "path" | "epochSeconds">): AsyncGenerator<Buffer> {
  await using disk = await open(path, "r");
  const { size } = await disk.stat();
  const extents = await dataExtents(path);
  const fields = {
    name: member,
    mode: 0o644,
    uid: 0,
    gid: 0,
    seconds: epochSeconds,
  };
  yield sparseHeader(fields, size, extents);
  let bytes = 0;
  for (const extent of extents) {
    yield* contentOf(disk, extent);
    bytes += extent.bytes;
  }
  yield paddingAfter(bytes);
  yield endOfTar;
}

async function* contentOf(
  disk: FileHandle,
  { start, bytes }: Extent,
): AsyncGenerator<Buffer> {
  for (let done = 0; done < bytes; done += chunkBytes) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, bytes - done));
    await disk.read(chunk, 0, chunk.length, start + done);
    yield chunk;
  }
}
