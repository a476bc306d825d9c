import type { Architecture } from "../../definitions/definition.ts";
import type { Sha256 } from "../../store/store.ts";

/** A raw disk image that is to be had in another form. */
export interface RawImage {
  readonly path: string;
  readonly sha256: Sha256;
  readonly architecture: Architecture;
  /** The date of everything inside, so that equal images give equal files. Seconds since 1970. */
  readonly epochSeconds: number;
}

/** How a form is made, and how it is told that it holds the same. */
export interface Converter {
  /** What it needs at its peak. */
  readonly memoryMiB: number;
  /** @param path where the result goes; its directory is private, and may be used */
  readonly write: (raw: RawImage, path: string) => Promise<void>;
  /**
   * Reads the result. @returns in what it differs from the raw image, to follow "it"; `undefined` when it does not
   * @throws when it cannot be read at all.
   */
  readonly readBack: (
    raw: RawImage,
    path: string,
  ) => Promise<string | undefined>;
}
