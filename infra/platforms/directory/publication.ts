/**
 * One version of an image in a directory that a web server, or anybody, hands out: making it, examining
 * it, mending it, taking it away. The order of steps is such that each of them can be repeated after a
 * kill at any moment: files first, each in one step; then the record; then what is derived from all
 * records.
 */

import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StoreError } from "../../errors.ts";
import { projectPath } from "../../projectPaths.ts";
import {
  moveIntoPlace,
  removeEmptyDirectories,
  withPrivateDirectory,
} from "../../store/directories.ts";
import {
  type PublicationId,
  readPublication,
  removePublication,
  writePublication,
} from "../../store/documents.ts";
import { errorCode, fileFailure } from "../../store/fileFailure.ts";
import { manifestText } from "../../store/manifest.ts";
import { openStore } from "../../store/openStore.ts";
import {
  type BuildRecord,
  type Format,
  formats,
  type PublicationRecord,
  type PublishedFile,
} from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import {
  channelDirectory,
  fileOf,
  type ImageName,
  imageNameOf,
  incomingPrefix,
} from "./layout.ts";
import {
  examineFile,
  type FileTree,
  type PreparedFile,
  prepareFile,
} from "./publishedFiles.ts";
import { type ImageSources, readSources, type WantedImage } from "./sources.ts";
import {
  examineViews,
  recordsOfRoot,
  refuseForeignViews,
  viewsOf,
  writeViews,
} from "./views.ts";

/** What the resource is given. */
export interface DirectoryPublicationInputs extends WantedImage {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The directory to publish in; a relative path is relative to the project. */
  readonly root: string;
  /** The store's address. */
  readonly store: string;
}

/** What the resource remembers. */
export interface Published {
  /** All files of the publication, relative to the root: the images first. */
  readonly files: readonly string[];
  /** Format to the SHA-512 of its file, 128 hex digits. */
  readonly sha512: Readonly<Partial<Record<Format, string>>>;
  /** All files together. */
  readonly sizeBytes: number;
}

/** What the manifests call this platform. */
const platform = "directory";

/** One publication is copied by one process: a few hundred megabytes, minutes on a slow disk. */
const publicationPatienceSeconds = 900;

/** Views are small files; whoever waits may have a few dozen publications before it. */
const viewsPatienceSeconds = 300;

/**
 * Publishes an image that was built and boot-checked. Done again, it finishes what was interrupted and
 * mends what is missing or altered, from the store and without building; what is well it leaves alone.
 * @throws {StoreError} when the store lacks something, or something of somebody else is in the place.
 * @throws {BootCheckError} when the very image was not boot-checked with every firmware.
 */
export function publish(
  inputs: DirectoryPublicationInputs,
): Promise<Published> {
  return explained("publish to", inputs, async (place) => {
    const sources = await readSources(place.store, inputs);
    return place.store.withLock(
      publicationLock(inputs),
      publicationPatienceSeconds,
      () => publishSources(place, inputs, sources),
    );
  });
}

/**
 * What is wrong with a publication, a short sentence each; nothing when all is well. Reads every byte.
 * @throws {StoreError} when the store or the directory cannot be read.
 */
export function examine(inputs: DirectoryPublicationInputs): Promise<string[]> {
  return explained("examine", inputs, async (place) => {
    const { definition, version } = inputs;
    const record = await readPublication(place.store, idOf(inputs));
    if (record === undefined)
      return [`${definition} ${version} has no publication record`];
    const claim = claimOfAnother(place, inputs, record);
    if (claim !== undefined) return [claim];
    const problems: string[] = [];
    for (const file of record.files) {
      const problem = await examineFile(place.root, file);
      if (problem !== undefined) problems.push(problem);
    }
    const views = await withRecords(place, async (records) =>
      examineViews(place.root, await viewsOf(place.store, records)),
    );
    return [...problems, ...views];
  });
}

/**
 * Takes a publication away: its files, what is derived from its record, the record, and the directories
 * that this leaves empty. One that is not there, or is another stack's, is left as it is.
 * @throws {StoreError} when something cannot be removed.
 */
export function withdraw(inputs: DirectoryPublicationInputs): Promise<void> {
  return explained("withdraw from", inputs, (place) =>
    place.store.withLock(
      publicationLock(inputs),
      publicationPatienceSeconds,
      () =>
        withRecords(place, async (records) => {
          const own = records.find((record) => isOwn(inputs, record));
          if (own !== undefined) await withdrawRecord(place, records, own);
        }),
    ),
  );
}

interface Place {
  /** Absolute. */
  readonly root: string;
  readonly store: Store;
}

async function publishSources(
  place: Place,
  inputs: DirectoryPublicationInputs,
  sources: ImageSources,
): Promise<Published> {
  const existing = await readOwnRecord(place, inputs);
  await withRecords(place, (records) =>
    refuseForeignViews(place.root, records, inputs),
  );
  const files = await placeFiles(place, inputs, sources, existing);
  const record = recordOf(inputs, sources.build, files, existing);
  await withRecords(place, async (before) => {
    const others = before.filter((each) => !isOwn(inputs, each));
    await removeFiles(place, existing, record);
    await writePublication(place.store, record);
    await writeViews(
      place.root,
      before,
      await viewsOf(place.store, [...others, record]),
    );
  });
  return publishedOf(record);
}

/** Everything is made ready before anything is moved into place. */
async function placeFiles(
  { root, store }: Place,
  inputs: DirectoryPublicationInputs,
  sources: ImageSources,
  existing: PublicationRecord | undefined,
): Promise<PublishedFile[]> {
  const recorded = new Set(existing?.files.map(({ path }) => path));
  const isRecorded = (path: string) => recorded.has(path);
  const tree: FileTree = { root, store, image: inputs, isRecorded };
  const directory = join(root, channelDirectory(inputs));
  try {
    return await withPrivateDirectory(
      directory,
      incomingPrefix,
      async (incoming) => {
        const prepared = await prepareFiles(tree, incoming, sources);
        for (const { file, draft } of prepared) {
          if (draft !== undefined)
            await moveIntoPlace(draft, join(root, file.path));
        }
        return prepared.map(({ file }) => file);
      },
    );
  } finally {
    await removeEmptyDirectories(directory, root);
  }
}

async function prepareFiles(
  tree: FileTree,
  incoming: string,
  { build, uploads, others }: ImageSources,
): Promise<PreparedFile[]> {
  const images: PreparedFile[] = [];
  const files = [];
  for (const { format, artifact } of uploads) {
    const image = await prepareFile(tree, incoming, {
      suffix: format,
      artifact,
    });
    images.push(image);
    files.push({ format, ref: image.file.path, sha512: image.file.sha512 });
  }
  const { channel } = tree.image;
  const content = manifestText({ build, channel, provider: platform, files });
  const documents: PreparedFile[] = [];
  for (const source of [{ suffix: "json", content } as const, ...others]) {
    documents.push(await prepareFile(tree, incoming, source));
  }
  return [...images, ...documents];
}

/** The record of what is in place now; a publication that is mended keeps its moment. */
function recordOf(
  inputs: DirectoryPublicationInputs,
  { definition }: BuildRecord,
  files: readonly PublishedFile[],
  existing: PublicationRecord | undefined,
): PublicationRecord {
  const { stack, key, version, channel } = inputs;
  const publishedAt = existing?.publishedAt ?? new Date().toISOString();
  return {
    platform,
    stack,
    key,
    version,
    definition,
    channel,
    publishedAt,
    inputs: { ...inputs },
    files,
  };
}

/** The views and the files go before the record, so that whoever comes next knows what is left to do. */
async function withdrawRecord(
  place: Place,
  records: readonly PublicationRecord[],
  own: PublicationRecord,
): Promise<void> {
  const others = records.filter((record) => record !== own);
  await writeViews(place.root, records, await viewsOf(place.store, others));
  await removeFiles(place, own, undefined);
  await removePublication(place.store, idOf(imageNameOf(own)));
}

/** Removes the files of a record that another one does not have, and directories left empty. */
async function removeFiles(
  { root }: Place,
  record: PublicationRecord | undefined,
  successor: PublicationRecord | undefined,
): Promise<void> {
  const kept = new Set(successor?.files.map(({ path }) => path));
  for (const { path } of record?.files ?? []) {
    if (kept.has(path)) continue;
    await rm(join(root, path), { force: true });
    await removeEmptyDirectories(dirname(join(root, path)), root);
  }
}

function publishedOf(record: PublicationRecord): Published {
  const sha512: Partial<Record<Format, string>> = {};
  for (const format of formats) {
    const file = fileOf(record, format);
    if (file !== undefined) sha512[format] = file.sha512;
  }
  return {
    files: record.files.map(({ path }) => path),
    sha512,
    sizeBytes: record.files.reduce((sum, file) => sum + file.sizeBytes, 0),
  };
}

/**
 * The record of this publication, or `undefined` when there is none yet.
 * @throws {StoreError} when the name is taken by another publication.
 */
async function readOwnRecord(
  place: Place,
  inputs: DirectoryPublicationInputs,
): Promise<PublicationRecord | undefined> {
  const record = await readPublication(place.store, idOf(inputs));
  const claim =
    record === undefined ? undefined : claimOfAnother(place, inputs, record);
  if (claim !== undefined) throw new StoreError(claim);
  return record;
}

/** What the store calls a publication of this platform. */
function idOf({ definition, version, channel }: ImageName): PublicationId {
  return { platform, definition, version, channel };
}

/** Says whose a record is, unless it is this publication's. */
function claimOfAnother(
  place: Place,
  inputs: DirectoryPublicationInputs,
  record: PublicationRecord,
): string | undefined {
  const name = `${inputs.definition} ${inputs.version}`;
  if (record.stack !== inputs.stack) {
    return `${name} is published by the stack ${record.stack}, and one store has one publication of a version in a channel. Destroy it there, or give this stack a store of its own.`;
  }
  if (record.key !== inputs.key) {
    return `${name} is published from the key ${record.key}, and a version is never used again. Destroy that publication before this one is made.`;
  }
  if (projectPath(String(record.inputs.root)) !== place.root) {
    return `${name} is published in ${record.inputs.root}, and one store has one publication of a version in a channel. Destroy that one before it is made elsewhere.`;
  }
  return undefined;
}

/** Whether a record of this root is this publication's. */
function isOwn(
  inputs: DirectoryPublicationInputs,
  record: PublicationRecord,
): boolean {
  return (
    record.definition.name === inputs.definition &&
    record.version === inputs.version &&
    record.channel === inputs.channel &&
    record.stack === inputs.stack &&
    record.key === inputs.key
  );
}

/** Runs `use` with the records of everything in the root, while nobody changes them or the views. */
function withRecords<T>(
  { root, store }: Place,
  use: (records: readonly PublicationRecord[]) => Promise<T>,
): Promise<T> {
  const digest = createHash("sha256").update(root).digest("hex");
  return store.withLock(
    `directory-${digest.slice(0, 12)}`,
    viewsPatienceSeconds,
    async () =>
      use(
        await recordsOfRoot(
          store,
          (other) => projectPath(String(other)) === root,
        ),
      ),
  );
}

function publicationLock({
  definition,
  version,
  channel,
}: DirectoryPublicationInputs): string {
  return `directory-${definition}-${version}-${channel}`;
}

/** Runs `use`; what the operating system refuses comes out as a sentence. */
async function explained<T>(
  attempt: string,
  inputs: DirectoryPublicationInputs,
  use: (place: Place) => Promise<T>,
): Promise<T> {
  const root = projectPath(inputs.root);
  const store = openStore(inputs.store);
  try {
    return await use({ root, store });
  } catch (error) {
    throw errorCode(error) === undefined
      ? error
      : fileFailure(attempt, root, error);
  }
}
