/** An image's files on their way out of the store, and in the file tree. */

import { chmod, constants, copyFile, lstat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../errors.ts";
import { digestsOfFile, sha512OfFile } from "../../store/digest.ts";
import { unlessMissing } from "../../store/directories.ts";
import type { DirectoryStore } from "../../store/directoryStore.ts";
import type { PublishedFile } from "../../store/records.ts";
import { filePath, type ImageName } from "./layout.ts";
import type { FileSource } from "./sources.ts";

/** Published files never change: their names carry the version. */
const publishedMode = 0o444;

/** Where files go to and come from. */
export interface FileTree {
  /** Absolute. */
  readonly root: string;
  readonly store: DirectoryStore;
  readonly image: ImageName;
  /** What the record of this publication, where there is one, says of a path: such a file is ours. */
  readonly recorded: (path: string) => PublishedFile | undefined;
}

/** A file that is in its place, or has a draft that only needs to be moved there. */
export interface PreparedFile {
  readonly file: PublishedFile;
  readonly draft: string | undefined;
}

/**
 * Makes one file ready, unless it is in its place already. It is copied (as a reflink where the file
 * system can), so that nobody who writes to a published file writes to the store, and checked after
 * copying.
 * @param incoming a private directory on the tree's file system.
 * @throws {StoreError} when a file of somebody else is in its place, or the store's was altered.
 */
export async function prepareFile(
  tree: FileTree,
  incoming: string,
  source: FileSource,
): Promise<PreparedFile> {
  const path = filePath(tree.image, source.suffix);
  const place = join(tree.root, path);
  const recorded = tree.recorded(path);
  const present = await digestIfPresent(place);
  if (recorded !== undefined && present?.sha512 === recorded.sha512) {
    return { file: recorded, draft: undefined };
  }
  const draft = join(incoming, source.suffix);
  const { sha512, sizeBytes } = await makeDraft(tree, draft, source);
  const file = { path, sizeBytes, sha512 };
  if (present?.sha512 === sha512) return { file, draft: undefined };
  if (present !== undefined && recorded === undefined) refuseForeignFile(place);
  return { file, draft };
}

/** What is wrong with a published file, in a short sentence, or `undefined` when all is well. */
export async function examineFile(
  root: string,
  file: PublishedFile,
): Promise<string | undefined> {
  const present = await digestIfPresent(join(root, file.path));
  if (present === undefined) return `${file.path} is missing`;
  return present.sha512 === file.sha512
    ? undefined
    : `${file.path} was altered`;
}

async function makeDraft(tree: FileTree, draft: string, source: FileSource) {
  if ("content" in source) await writeFile(draft, source.content);
  else {
    await copyFile(
      await tree.store.file(source.artifact.sha256),
      draft,
      constants.COPYFILE_FICLONE,
    );
  }
  await chmod(draft, publishedMode);
  const digests = await digestsOfFile(draft);
  if ("artifact" in source && digests.sha256 !== source.artifact.sha256) {
    throw new StoreError(
      `The artifact ${source.artifact.sha256} in the store ${tree.store.location} was altered: its bytes have the sha256 ${digests.sha256}. Nothing was published. Refresh the stack and run \`pulumi up\`, which makes it anew.`,
    );
  }
  return digests;
}

/** A link or a directory counts as a file that is not what was published. */
async function digestIfPresent(
  path: string,
): Promise<{ readonly sha512: string } | undefined> {
  const status = await unlessMissing(lstat(path));
  if (status === undefined) return undefined;
  return status.isFile() ? sha512OfFile(path) : { sha512: "" };
}

function refuseForeignFile(place: string): never {
  throw new StoreError(
    `${place} exists with other content, and no publication record of this store accounts for it. Nothing was overwritten. Move it away, or publish to another directory.`,
  );
}
