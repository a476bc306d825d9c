/** Makes a tree in memory one that was written in the order of its names. */

import {
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
} from "node:fs";

const slash = Buffer.from("/");

/**
 * Gives all files the order of their names in which directories list them, and no date after the epoch: who copies
 * the tree then copies the same, whatever order it was made in.
 *
 * A tmpfs lists what came last into a directory at one end, so each entry leaves its directory and comes back. Nothing
 * is copied.
 *
 * @param tree on a tmpfs, with nothing mounted in it
 * @param aside a path on the same tmpfs that does not exist
 * @throws the operating system's error.
 */
export function orderFiles(
  tree: string,
  aside: string,
  epochSeconds: number,
): void {
  mkdirSync(aside);
  orderDirectory(Buffer.from(tree), Buffer.from(aside), epochSeconds);
  rmdirSync(aside);
}

// Names are bytes: not every file's name is UTF-8.
function orderDirectory(
  directory: Buffer,
  aside: Buffer,
  epochSeconds: number,
): void {
  const before = lstatSync(directory);
  const names = readdirSync(directory, { encoding: "buffer" });
  names.sort(Buffer.compare);
  const pathIn = (parent: Buffer, name: Buffer) =>
    Buffer.concat([parent, slash, name]);
  for (const name of names) {
    renameSync(pathIn(directory, name), pathIn(aside, name));
  }
  for (const name of names) {
    renameSync(pathIn(aside, name), pathIn(directory, name));
  }
  for (const name of names) {
    const path = pathIn(directory, name);
    const entry = lstatSync(path);
    if (entry.isDirectory()) orderDirectory(path, aside, epochSeconds);
    else if (entry.mtimeMs > epochSeconds * 1000) {
      lutimesSync(path, epochSeconds, epochSeconds);
    }
  }
  const date = Math.min(before.mtimeMs / 1000, epochSeconds);
  lutimesSync(directory, date, date);
}
