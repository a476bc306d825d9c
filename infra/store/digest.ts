/** Digests of files of any size, read as a stream. */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { Sha256 } from "./store.ts";

/** What a file's bytes add up to. */
export interface FileDigests {
  readonly sha256: Sha256;
  /** 128 lower-case hex digits. */
  readonly sha512: string;
  readonly sizeBytes: number;
}

/** Bytes read at once: large enough that system calls cost nothing beside hashing. */
const chunkBytes = 1024 * 1024;

/**
 * sha256 and size of a file.
 * @throws the operating system's error when it cannot be read.
 */
export async function sha256OfFile(
  path: string,
): Promise<{ readonly sha256: Sha256; readonly sizeBytes: number }> {
  const { digests, sizeBytes } = await digestFile(path, ["sha256"]);
  return { sha256: digests[0] as Sha256, sizeBytes };
}

/**
 * Both digests of a file, in one pass.
 * @throws the operating system's error when it cannot be read.
 */
export async function digestsOfFile(path: string): Promise<FileDigests> {
  const { digests, sizeBytes } = await digestFile(path, ["sha256", "sha512"]);
  return {
    sha256: digests[0] as Sha256,
    sha512: digests[1] as string,
    sizeBytes,
  };
}

async function digestFile(path: string, algorithms: readonly string[]) {
  const hashes = algorithms.map((algorithm) => createHash(algorithm));
  let sizeBytes = 0;
  await using file = await open(path, "r");
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, null);
    if (bytesRead === 0) break;
    for (const hash of hashes) hash.update(buffer.subarray(0, bytesRead));
    sizeBytes += bytesRead;
  }
  return { digests: hashes.map((hash) => hash.digest("hex")), sizeBytes };
}
