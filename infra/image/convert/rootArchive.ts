/** The root file system as a tar, compressed by zstd: for containers, chroots and `debootstrap`'s successors. */

import { compressTo } from "./compression.ts";
import type { Converter } from "./rawImage.ts";
import {
  differenceOf,
  digestsOfArchive,
  digestsOfRoot,
  rootTar,
} from "./rootTree.ts";

export const rootArchive: Converter = {
  /** As for the whole disk. */
  memoryMiB: 1536,
  write: (raw, path) => compressTo(path, "zst", rootTar(raw.path)),
  async readBack(raw, path) {
    const [found, wanted] = await Promise.all([
      digestsOfArchive(path),
      digestsOfRoot(raw.path),
    ]);
    return differenceOf(found, wanted);
  },
};
