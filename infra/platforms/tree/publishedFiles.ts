/** An image's files on their way out of the store, and in the file tree. */

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../errors.ts";
import { digestsOfFile, type FileDigests } from "../../store/digest.ts";
import type { PublishedFile } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import { filePath, type ImageName } from "./layout.ts";
import type { PublishedTree } from "./publishedTree.ts";
import type { FileSource } from "./sources.ts";

/** Where an image's files go to and come from. */
export interface ImageFiles {
  readonly tree: PublishedTree;
  readonly store: Store;
  readonly image: ImageName;
  /** Whether this publication's record, where there is one, has a path: such a file is ours. */
  readonly isRecorded: (path: string) => boolean;
}

/** A file of this machine that only needs to be put in its place. */
export interface Draft {
  readonly path: string;
  readonly digests: FileDigests;
}

/** A file that is in its place, or has a draft. */
export interface PreparedFile {
  readonly file: PublishedFile;
  readonly draft: Draft | undefined;
}

/**
 * Makes one file ready, unless it is in its place already. Its bytes are compared with what the store calls it.
 * @param drafts a private directory.
 * @throws {StoreError} when a file of somebody else is in its place, or the store's was altered.
 */
export async function prepareFile(
  files: ImageFiles,
  drafts: string,
  source: FileSource,
): Promise<PreparedFile> {
  const { tree, image } = files;
  const path = filePath(image, source.suffix);
  const present = await tree.digests(path);
  if (present?.sha256 === sha256OfSource(source)) {
    return { file: publishedFile(path, present), draft: undefined };
  }
  if (present !== undefined && !files.isRecorded(path)) {
    refuseForeignFile(tree.addressOf(path));
  }
  const draft = await makeDraft(files, join(drafts, source.suffix), source);
  return { file: publishedFile(path, draft.digests), draft };
}

/** What is wrong with a published file, in a short sentence, or `undefined` when all is well. */
export async function examineFile(
  tree: PublishedTree,
  file: PublishedFile,
): Promise<string | undefined> {
  const present = await tree.digests(file.path);
  if (present === undefined) return `${file.path} is missing`;
  return present.sha512 === file.sha512
    ? undefined
    : `${file.path} was altered`;
}

async function makeDraft(
  { tree, store, image }: ImageFiles,
  draft: string,
  source: FileSource,
): Promise<Draft> {
  let path = draft;
  if ("content" in source) await writeFile(draft, source.content);
  else {
    const artifact = await store.file(source.artifact.sha256);
    path = await tree.draftOf(artifact, draft);
  }
  const digests = await digestsOfFile(path);
  if (digests.sha256 === sha256OfSource(source)) return { path, digests };
  throw new StoreError(
    `The file for ${image.definition}-${image.version}.${source.suffix} was altered in the store ${store.location}: its bytes have the sha256 ${digests.sha256}, not ${sha256OfSource(source)}. Nothing was published. Refresh the stack and run \`pulumi up\`, which makes it anew.`,
  );
}

function sha256OfSource(source: FileSource): string {
  if ("artifact" in source) return source.artifact.sha256;
  return createHash("sha256").update(source.content).digest("hex");
}

function publishedFile(
  path: string,
  { sizeBytes, sha512 }: FileDigests,
): PublishedFile {
  return { path, sizeBytes, sha512 };
}

function refuseForeignFile(place: string): never {
  throw new StoreError(
    `${place} exists with other content, and no publication record of this store accounts for it. Nothing was overwritten. Move it away, or publish somewhere else.`,
  );
}
