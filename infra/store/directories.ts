/**
 * Private directories to make files in, atomic moves out of them, and empty directories taken away
 * again: what a store on a file system and a published file tree have in common.
 */

import { randomBytes } from "node:crypto";
import {
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
} from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { errorCode } from "./fileFailure.ts";
import { ownerState, ownIdentity } from "./processIdentity.ts";

/**
 * A private directory of another machine, container or boot is taken to be abandoned after a day: no
 * build or copy lasts that long (a definition's `build.timeoutSeconds` is an hour or so).
 */
const abandonedAfterMilliseconds = 24 * 60 * 60 * 1000;

/**
 * How often a directory is made again that somebody else found empty and removed in between. Each
 * round needs another such coincidence, so a few are plenty.
 */
const vanishedDirectoryAttempts = 20;

/**
 * Runs `use` with a new private directory in `parent`, named `<prefix><owner>-<random>`, and removes it
 * afterwards, whatever happened. Directories of that prefix whose owner died are removed first.
 * `parent` is made when it does not exist, and stays.
 */
export async function withPrivateDirectory<T>(
  parent: string,
  prefix: string,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  await removeAbandoned(parent, prefix);
  const name = `${prefix}${ownIdentity()}-${randomBytes(6).toString("hex")}`;
  const directory = join(parent, name);
  await inDirectory(parent, () => mkdir(directory));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Removes the private directories in `parent` whose owner died. A missing `parent` has none. */
export async function removeAbandoned(
  parent: string,
  prefix: string,
): Promise<void> {
  for (const name of await entriesOf(parent)) {
    const path = join(parent, name);
    if (name.startsWith(prefix) && (await isAbandoned(path, name, prefix))) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function isAbandoned(path: string, name: string, prefix: string) {
  const state = ownerState(name.slice(prefix.length));
  if (state !== "elsewhere") return state === "dead";
  const status = await unlessMissing(stat(path));
  if (status === undefined) return false;
  return Date.now() - status.mtimeMs > abandonedAfterMilliseconds;
}

/**
 * Moves a finished file to its place in one step and makes that durable. The directory of the place is
 * made when it does not exist.
 * @throws the operating system's error, `EXDEV` when the two are on different file systems.
 */
export async function moveIntoPlace(from: string, to: string): Promise<void> {
  await syncPath(from);
  await inDirectory(dirname(to), () => rename(from, to));
  await syncPath(dirname(to));
}

/** Forces what was written to a file, or the names in a directory, out to the disk. */
export async function syncPath(path: string): Promise<void> {
  try {
    await using file = await open(path, "r");
    await file.sync();
  } catch (error) {
    // A directory that was emptied and removed meanwhile needs no syncing.
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

/** Runs `act`, making the directory first and again whenever somebody removed it in between. */
export async function inDirectory<T>(
  directory: string,
  act: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    await mkdir(directory, { recursive: true }).catch(ignoreMissing);
    try {
      return await act();
    } catch (error) {
      const vanished = errorCode(error) === "ENOENT";
      if (!vanished || attempt === vanishedDirectoryAttempts) throw error;
    }
  }
}

/**
 * Removes `directory` and those above it that this leaves empty, up to `top` and including it. A
 * directory with anything in it stays.
 */
export async function removeEmptyDirectories(
  directory: string,
  top: string,
): Promise<void> {
  const below = relative(top, directory);
  if (below.startsWith("..")) return;
  const steps = below === "" ? [] : below.split(sep);
  for (let depth = steps.length; depth >= 0; depth--) {
    const removed = await removeIfEmpty(join(top, ...steps.slice(0, depth)));
    if (!removed) return;
  }
}

/** Whether the directory is gone afterwards; one that is not empty, a mount point or no directory stays. */
export async function removeIfEmpty(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    return errorCode(error) === "ENOENT";
  }
}

/** Names in a directory, sorted; a missing one has none. */
export async function entriesOf(directory: string): Promise<readonly string[]> {
  return ((await unlessMissing(readdir(directory))) ?? []).sort();
}

/** The value, or `undefined` when the file or directory it comes from does not exist. */
export async function unlessMissing<T>(
  promise: Promise<T>,
): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    ignoreMissing(error);
    return undefined;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) !== "ENOENT") throw error;
  return undefined;
}
