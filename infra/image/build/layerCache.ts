/** Layers kept between builds: a tar each, and beside it the tar's sha256, which says that it is whole. */

import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { sha256OfFile } from "../../store/digest.ts";

/** Whether there is a layer of that name, whatever its state. */
export async function isKept(cache: string, name: string): Promise<boolean> {
  return stat(digestPath(cache, name)).then(
    () => true,
    () => false,
  );
}

/**
 * Replaces what a directory holds by a layer.
 *
 * @returns whether it did; `false` when the layer was altered or cut short. It is removed then, and the directory is
 * empty
 */
export async function unpackLayer(
  cache: string,
  name: string,
  target: string,
): Promise<boolean> {
  await empty(target);
  const wanted = await readFile(digestPath(cache, name), "utf8");
  const tar = tarPath(cache, name);
  const [{ exitCode }, sha256] = await Promise.all([
    execa(
      "tar",
      [
        ...["--extract", `--file=${tar}`, `--directory=${target}`],
        ...keepingAll,
        "--same-owner",
      ],
      { reject: false, buffer: false },
    ),
    sha256OfFile(tar).then(
      (digest) => digest.sha256,
      () => undefined,
    ),
  ]);
  if (exitCode === 0 && sha256 === wanted.trim()) return true;
  await forgetLayer(cache, name);
  await empty(target);
  return false;
}

async function empty(directory: string): Promise<void> {
  await execa("find", [directory, "-mindepth", "1", "-delete"]);
}

/**
 * Puts a directory into the cache as a layer, without what is mounted in it.
 *
 * @param unfinished a path on the cache's file system, for the time until it is whole
 */
export async function keepLayer(
  cache: string,
  name: string,
  target: string,
  unfinished: string,
): Promise<void> {
  await execa(
    "tar",
    [
      ...["--create", `--file=${unfinished}`, `--directory=${target}`],
      ...keepingAll,
      "--one-file-system",
      ".",
    ],
    { buffer: false },
  );
  const { sha256 } = await sha256OfFile(unfinished);
  await rename(unfinished, tarPath(cache, name));
  await writeFile(`${unfinished}.sha256`, `${sha256}\n`);
  await rename(`${unfinished}.sha256`, digestPath(cache, name));
}

const keepingAll = [
  "--numeric-owner",
  "--preserve-permissions",
  "--xattrs",
  "--xattrs-include=*",
];

async function forgetLayer(cache: string, name: string): Promise<void> {
  await rm(digestPath(cache, name), { force: true });
  await rm(tarPath(cache, name), { force: true });
}

function tarPath(cache: string, name: string): string {
  return join(cache, `${name}.tar`);
}

function digestPath(cache: string, name: string): string {
  return join(cache, `${name}.sha256`);
}
