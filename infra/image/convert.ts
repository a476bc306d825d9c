/** Makes the other forms of a raw image, and makes sure that they hold the same. */

import { BuildError } from "../errors.ts";
import type { Format } from "../store/records.ts";
import { diskArchive } from "./convert/diskArchive.ts";
import { ociLayout } from "./convert/ociLayout.ts";
import type { Converter, RawImage } from "./convert/rawImage.ts";
import { rootArchive } from "./convert/rootArchive.ts";
import { qcow2, vhd, vmdk } from "./convert/virtualDisk.ts";

const converters: Readonly<Record<Format, Converter>> = {
  "tar.zst": diskArchive("zst"),
  "tar.xz": diskArchive("xz"),
  "tar.gz": diskArchive("gz"),
  qcow2,
  vmdk,
  vhd,
  "root.tar.zst": rootArchive,
  "oci.tar": ociLayout,
};

/** Memory that making a format and reading it back takes at its peak. */
export function conversionMemoryMiB(format: Format): number {
  return converters[format].memoryMiB;
}

/**
 * Converts a raw image and reads the result back with another program.
 *
 * @param path where the result goes, in a private directory
 * @throws {BuildError} with what the program said, or in what the result differs from the image.
 */
export async function convertImage(
  raw: RawImage,
  path: string,
  format: Format,
): Promise<void> {
  const { write } = converters[format];
  await explained(`${format} could not be made of ${raw.path}`, () =>
    write(raw, path),
  );
  await readBackImage(raw, path, format);
}

/**
 * Reads a converted image.
 *
 * @throws {BuildError} saying in what it differs from the raw image.
 */
export async function readBackImage(
  raw: RawImage,
  path: string,
  format: Format,
): Promise<void> {
  const { readBack } = converters[format];
  const failed = `${format} made of ${raw.path} cannot be read back`;
  const fault = await explained(failed, () => readBack(raw, path));
  if (fault !== undefined) {
    throw new BuildError(
      `${failed}: it ${fault}. Nothing of it was kept. Run again; if it happens again, have the machine's memory and disk checked.`,
    );
  }
}

async function explained<T>(
  failed: string,
  attempt: () => Promise<T>,
): Promise<T> {
  try {
    return await attempt();
  } catch (cause) {
    throw new BuildError(`${failed}: ${(cause as Error).message}`, { cause });
  }
}
