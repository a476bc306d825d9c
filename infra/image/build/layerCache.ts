/** Layers kept between builds: a tar each, and beside it the tar's sha256, which says that it is whole. */

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";

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
  const hash = createHash("sha256");
  const tar = execa(
    "tar",
    ["--extract", `--directory=${target}`, ...keepingAll, "--same-owner"],
    { stdin: "pipe", reject: false, buffer: false },
  );
  try {
    await pipeline(
      createReadStream(tarPath(cache, name)),
      hashing(hash),
      tar.stdin,
    );
  } catch {
    // What tar did not read of a file that is not a tar: its exit code says that.
  }
  const { exitCode } = await tar;
  if (exitCode === 0 && hash.digest("hex") === wanted.trim()) return true;
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
  const hash = createHash("sha256");
  const tar = execa(
    "tar",
    [
      "--create",
      `--directory=${target}`,
      ...keepingAll,
      "--one-file-system",
      ".",
    ],
    { buffer: false },
  );
  await Promise.all([
    pipeline(
      Readable.from(tar.stdout as AsyncIterable<Buffer>),
      hashing(hash),
      createWriteStream(unfinished),
    ),
    tar,
  ]);
  await rename(unfinished, tarPath(cache, name));
  await writeFile(`${unfinished}.sha256`, `${hash.digest("hex")}\n`);
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

function hashing(hash: ReturnType<typeof createHash>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

function tarPath(cache: string, name: string): string {
  return join(cache, `${name}.tar`);
}

function digestPath(cache: string, name: string): string {
  return join(cache, `${name}.sha256`);
}
