/** An image's files on their way out of the store, and in the file tree. */

import { createHash } from "node:crypto";
import { chmod, lstat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../errors.ts";
import { digestsOfFile, type FileDigests } from "../../store/digest.ts";
import { unlessMissing } from "../../store/directories.ts";
import type { PublishedFile } from "../../store/records.ts";
import { copySparsely } from "../../store/sparseFile.ts";
import type { Store } from "../../store/store.ts";
import { filePath, type ImageName } from "./layout.ts";
import type { FileSource } from "./sources.ts";

/** Published files never change: their names carry the version. */
const publishedMode = 0o444;

/** Where files go to and come from. */
export interface FileTree {
  /** Absolute. */
  readonly root: string;
  readonly store: Store;
  readonly image: ImageName;
  /** Whether this publication's record, where there is one, has a path: such a file is ours. */
  readonly isRecorded: (path: string) => boolean;
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
  const present = await digestsIfPresent(place);
  if (present?.sha256 === sha256OfSource(source)) {
    return { file: publishedFile(path, present), draft: undefined };
  }
  if (present !== undefined && !tree.isRecorded(path)) refuseForeignFile(place);
  const draft = join(incoming, source.suffix);
  const digests = await makeDraft(tree, draft, source);
  return { file: publishedFile(path, digests), draft };
}

/** What is wrong with a published file, in a short sentence, or `undefined` when all is well. */
export async function examineFile(
  root: string,
  file: PublishedFile,
): Promise<string | undefined> {
  const present = await digestsIfPresent(join(root, file.path));
  if (present === undefined) return `${file.path} is missing`;
  return present.sha512 === file.sha512
    ? undefined
    : `${file.path} was altered`;
}

async function makeDraft(
  tree: FileTree,
  draft: string,
  source: FileSource,
): Promise<FileDigests> {
  if ("content" in source) await writeFile(draft, source.content);
  else {
    const artifact = await tree.store.file(source.artifact.sha256);
    await copySparsely(artifact, draft);
  }
  await chmod(draft, publishedMode);
  const digests = await digestsOfFile(draft);
  if (digests.sha256 === sha256OfSource(source)) return digests;
  throw new StoreError(
    `The file for ${tree.image.definition}-${tree.image.version}.${source.suffix} was altered in the store ${tree.store.location}: its bytes have the sha256 ${digests.sha256}, not ${sha256OfSource(source)}. Nothing was published. Refresh the stack and run \`pulumi up\`, which makes it anew.`,
  );
}

function sha256OfSource(source: FileSource): string {
  if ("artifact" in source) return source.artifact.sha256;
  return createHash("sha256").update(source.content).digest("hex");
}

function publishedFile(
  path: string,
  { sizeBytes, sha512 }: Omit<FileDigests, "sha256">,
): PublishedFile {
  return { path, sizeBytes, sha512 };
}

/** A link or a directory counts as a file with other content than any. */
async function digestsIfPresent(
  path: string,
): Promise<(Omit<FileDigests, "sha256"> & { sha256: string }) | undefined> {
  const status = await unlessMissing(lstat(path));
  if (status === undefined) return undefined;
  if (status.isFile()) return digestsOfFile(path);
  return { sha256: "", sha512: "", sizeBytes: 0 };
}

function refuseForeignFile(place: string): never {
  throw new StoreError(
    `${place} exists with other content, and no publication record of this store accounts for it. Nothing was overwritten. Move it away, or publish to another directory.`,
  );
}
