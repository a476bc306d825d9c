/**
 * A published tree in a directory. Nothing is written in place: files are made in private directories beside their places,
 * and moved.
 */

import {
  chmod,
  lstat,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { digestsOfFile, type FileDigests } from "../../store/digest.ts";
import {
  entriesOf,
  moveIntoPlace,
  removeAbandoned,
  removeEmptyDirectories,
  unlessMissing,
  withPrivateDirectory,
} from "../../store/directories.ts";
import { errorCode } from "../../store/fileFailure.ts";
import { copySparsely } from "../../store/sparseFile.ts";
import type { Sha256 } from "../../store/store.ts";
import type { LatestDirectory } from "../tree/catalogue.ts";
import {
  incomingPrefix,
  isLatestDirectoryName,
  latestLink,
  sumsFileName,
} from "../tree/layout.ts";
import type { PublishedTree, ViewState } from "../tree/publishedTree.ts";

/** Published files never change: their names carry the version. */
const publishedMode = 0o444;

/** Everybody may read what is published. */
const viewMode = 0o644;

export class DirectoryTree implements PublishedTree {
  readonly latestIndex = "";
  readonly #root: string;

  /** @param root absolute; made when first written to, and removed when nothing is left in it */
  constructor(root: string) {
    this.#root = root;
  }

  addressOf(path: string): string {
    return join(this.#root, path);
  }

  /** A link or a directory counts as a file with other content than any. */
  async digests(path: string): Promise<FileDigests | undefined> {
    const place = this.addressOf(path);
    const status = await unlessMissing(lstat(place));
    if (status === undefined) return undefined;
    if (status.isFile()) return digestsOfFile(place);
    return { sha256: "" as Sha256, sha512: "", sizeBytes: 0 };
  }

  async withDrafts<T>(
    directory: string,
    use: (drafts: string) => Promise<T>,
  ): Promise<T> {
    const parent = this.addressOf(directory);
    try {
      return await withPrivateDirectory(parent, incomingPrefix, use);
    } finally {
      await removeEmptyDirectories(parent, this.#root);
    }
  }

  /** A copy (a reflink where the file system can), so that nobody who writes to a published file writes to the store. */
  async draftOf(path: string, draft: string): Promise<string> {
    await copySparsely(path, draft);
    return draft;
  }

  async put(draft: string, path: string): Promise<void> {
    await chmod(draft, publishedMode);
    await moveIntoPlace(draft, this.addressOf(path));
  }

  readText(path: string): Promise<string | undefined> {
    return unlessMissing(readFile(this.addressOf(path), "utf8"));
  }

  async writeText(path: string, text: string): Promise<void> {
    const place = this.addressOf(path);
    await withPrivateDirectory(
      dirname(place),
      incomingPrefix,
      async (incoming) => {
        const draft = join(incoming, "view");
        await writeFile(draft, text);
        await chmod(draft, viewMode);
        await moveIntoPlace(draft, place);
      },
    );
  }

  async isLink(path: string): Promise<boolean> {
    const target = await linkTarget(this.addressOf(path));
    return target !== undefined && target !== "";
  }

  async remove(path: string): Promise<void> {
    const place = this.addressOf(path);
    await rm(place, { force: true });
    await removeEmptyDirectories(dirname(place), this.#root);
  }

  /** The directory is complete before the link to it is moved, and the old one goes after that. */
  async pointLatest(channel: string, latest: LatestDirectory): Promise<void> {
    const parent = this.addressOf(channel);
    await withPrivateDirectory(parent, incomingPrefix, async (incoming) => {
      const directory = join(parent, latest.name);
      if (!(await isLatestSound(directory, latest))) {
        await makeLatest(join(incoming, "new"), latest);
        await replaceDirectory(
          join(incoming, "new"),
          directory,
          join(incoming, "old"),
        );
      }
      const link = this.addressOf(latestLink(channel));
      if ((await linkTarget(link)) !== latest.name) {
        await symlink(latest.name, join(incoming, "latest"));
        await rename(join(incoming, "latest"), link);
      }
    });
    await removeLatestDirectories(parent, latest.name);
  }

  async examineLatest(
    channel: string,
    latest: LatestDirectory,
  ): Promise<ViewState> {
    const target = await linkTarget(this.addressOf(latestLink(channel)));
    if (target === undefined) return "missing";
    const directory = join(this.addressOf(channel), latest.name);
    const isSound =
      target === latest.name && (await isLatestSound(directory, latest));
    return isSound ? "sound" : "altered";
  }

  async isLatestFreeOrOwn(channel: string): Promise<boolean> {
    const target = await linkTarget(this.addressOf(latestLink(channel)));
    return target === undefined || isLatestDirectoryName(target);
  }

  /** The link together with the directory that it points to. */
  async removeLatest(channel: string): Promise<void> {
    await rm(this.addressOf(latestLink(channel)), { force: true });
    await removeLatestDirectories(this.addressOf(channel), undefined);
  }

  async tidy(directories: readonly string[]): Promise<void> {
    for (const directory of directories) {
      await removeAbandoned(this.addressOf(directory), incomingPrefix);
    }
  }
}

async function makeLatest(
  path: string,
  { files, sums }: LatestDirectory,
): Promise<void> {
  await mkdir(path);
  for (const { name, target } of files) {
    await symlink(target, join(path, name));
  }
  await writeFile(join(path, sumsFileName), sums);
}

/** A directory can only be renamed to where there is none, so one that was altered is put aside first. */
async function replaceDirectory(
  from: string,
  to: string,
  aside: string,
): Promise<void> {
  await unlessMissing(rename(to, aside));
  await rename(from, to);
}

async function isLatestSound(
  path: string,
  { files, sums }: LatestDirectory,
): Promise<boolean> {
  const expected = [...files.map(({ name }) => name), sumsFileName].sort();
  const names = await entriesOf(path);
  if (names.join("/") !== expected.join("/")) return false;
  for (const { name, target } of files) {
    if ((await linkTarget(join(path, name))) !== target) return false;
  }
  return (await readFile(join(path, sumsFileName), "utf8")) === sums;
}

async function removeLatestDirectories(
  parent: string,
  keep: string | undefined,
): Promise<void> {
  for (const name of await entriesOf(parent)) {
    if (name === keep || !isLatestDirectoryName(name)) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** Where a symbolic link points; `undefined` where there is none, `""` for anything else. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await unlessMissing(readlink(path));
  } catch (error) {
    // EINVAL: there is something, and it is no symbolic link (readlink(2)).
    if (errorCode(error) === "EINVAL") return "";
    throw error;
  }
}
