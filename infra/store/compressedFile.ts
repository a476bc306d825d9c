/** Files on their way to a distant store and back: compressed by zstd, as most of a raw image is zeros. */

import { createReadStream, createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import { writeSparsely } from "./sparseFile.ts";

const chunkBytes = 1024 * 1024;

/**
 * Compresses a file into a new one.
 * @throws the operating system's error.
 */
export function compressFile(from: string, to: string): Promise<void> {
  return pipeline(
    createReadStream(from, { highWaterMark: chunkBytes }),
    createZstdCompress({ chunkSize: chunkBytes }),
    createWriteStream(to, { flags: "wx", flush: false }),
  );
}

/**
 * What compressed bytes say, as they come.
 * @throws when they are not compressed by zstd, are cut off, or cannot be read.
 */
export async function* decompressed(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(bytes, { objectMode: false });
  const output = createZstdDecompress({ chunkSize: chunkBytes });
  const piping = pipeline(source, output);
  // Its failure is the output's, which the loop throws.
  piping.catch(() => {});
  yield* output;
  await piping;
}

/**
 * Writes what compressed bytes say to a new file, with holes where there are zeros.
 * @throws when they cannot be read or written.
 */
export async function decompressTo(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  await writeSparsely(decompressed(bytes), path);
}
