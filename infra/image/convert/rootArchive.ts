/** The root file system as a tar, compressed by zstd: for containers and chroots. */

import { compressionMemoryMiB, compressTo } from "./compression.ts";
import type { Converter } from "./rawImage.ts";
import {
  differenceOf,
  digestsOfArchive,
  digestsOfRoot,
  rootTar,
} from "./rootTree.ts";

/** It is unpacked three times at once, each time through a window of 128 MiB. */
const readBackMemoryMiB = 3 * 128;

export const rootArchive: Converter = {
  memoryMiB: Math.max(compressionMemoryMiB("zst"), readBackMemoryMiB) + 64,
  write: (raw, path) => compressTo(path, "zst", rootTar(raw.path)),
  async readBack(raw, path) {
    const [found, wanted] = await Promise.all([
      digestsOfArchive(path),
      digestsOfRoot(raw.path),
    ]);
    return differenceOf(found, wanted);
  },
};
