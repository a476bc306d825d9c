/** Makes the other forms of a raw image. */

import { availableParallelism } from "node:os";
import { basename, dirname } from "node:path";
import { execa } from "execa";
import { BuildError } from "../errors.ts";
import type { Format } from "../store/records.ts";

/**
 * zstd's level: 10 gives 265 MB in 11 s where 19 gives 235 MB in 188 s (a 3 GiB image with 1 GB of data, on
 * 2 cores); more is not worth the wait for every build.
 */
const zstdLevel = 10;

/**
 * Converts a raw image.
 *
 * @param raw path of the raw image
 * @param path where the result goes
 * @param epochSeconds date of everything inside, so that equal images give equal files
 * @throws {BuildError} with what the program said.
 */
export async function convertImage(
  raw: string,
  path: string,
  format: Format,
  epochSeconds: number,
): Promise<void> {
  const convert = { qcow2: toQcow2, "tar.zst": toTarZst }[format];
  try {
    await convert(raw, path, epochSeconds);
  } catch (cause) {
    throw new BuildError(
      `${format} could not be made of ${raw}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

async function toQcow2(raw: string, path: string): Promise<void> {
  await execa("qemu-img", [
    "convert",
    ...["-f", "raw"],
    ...["-O", "qcow2"],
    "-c",
    ...["-o", "compression_type=zstd"],
    raw,
    path,
  ]);
}

/** A tar as GNU tar writes sparse files, with one member, `disk.raw`. */
async function toTarZst(
  raw: string,
  path: string,
  epochSeconds: number,
): Promise<void> {
  await execa(
    "tar",
    [
      "--create",
      "--sparse",
      "--format=gnu",
      ...["--owner=0", "--group=0", "--numeric-owner", "--mode=644"],
      `--mtime=@${epochSeconds}`,
      `--directory=${dirname(raw)}`,
      "--transform=s,.*,disk.raw,",
      basename(raw),
    ],
    { buffer: false },
  ).pipe(
    "zstd",
    ["-q", `-${zstdLevel}`, `-T${availableParallelism()}`, "-o", path],
    { buffer: false },
  );
}
