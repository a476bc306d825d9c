/**
 * One version of an image in a file tree that a web server, or anybody, hands out: making it, examining
 * it, mending it, taking it away. The order of steps is such that each of them can be repeated after a
 * kill at any moment: files first, each in one step; then the record; then what is derived from all
 * records.
 */

import { StoreError } from "../../errors.ts";
import {
  listPublications,
  type PublicationId,
  readPublication,
  removePublication,
  writePublication,
} from "../../store/documents.ts";
import { manifestText } from "../../store/manifest.ts";
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
} from "./layout.ts";
import {
  examineFile,
  type ImageFiles,
  type PreparedFile,
  prepareFile,
} from "./publishedFiles.ts";
import type { PublishedTree } from "./publishedTree.ts";
import { SharedRuns } from "./sharedRuns.ts";
import { type ImageSources, readSources, type WantedImage } from "./sources.ts";
import {
  examineViews,
  isIndexRight,
  refuseForeignViews,
  type TreeRecords,
  viewsOf,
  writeViews,
} from "./views.ts";

/** A tree, as a resource is given it. */
export interface TreeAddress {
  /** Where the tree is, as its platform writes it. */
  readonly root: string;
  /** The store's address. */
  readonly store: string;
}

/** What a resource is given. */
export interface PublicationInputs extends WantedImage, TreeAddress {
  /** `organization/project/stack`. */
  readonly stack: string;
}

/** A tree, and the store that it is made from. */
export interface TreePlace {
  /** The platform's folder: `directory`, `bucket`. */
  readonly platform: string;
  readonly tree: PublishedTree;
  readonly store: Store;
  /** The name of the lock for everything in the tree that is made from all records. */
  readonly lock: string;
  /** Whether what a publication's record calls its root is this tree. */
  isRoot(root: unknown): boolean;
}

/** What a resource remembers. */
export interface Published {
  /** All files of the publication, relative to the root: the images first. */
  readonly files: readonly string[];
  /** Format to the SHA-512 of its file, 128 hex digits. */
  readonly sha512: Readonly<Partial<Record<Format, string>>>;
  /** All files together. */
  readonly sizeBytes: number;
}

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
export async function publish(
  place: TreePlace,
  inputs: PublicationInputs,
): Promise<Published> {
  const sources = await readSources(place.store, inputs);
  return place.store.withLock(
    publicationLock(place, inputs),
    publicationPatienceSeconds,
    () => publishSources(place, inputs, sources),
  );
}

/**
 * What is wrong with a publication, a short sentence each; nothing when all is well. Nothing is written, not even a lock,
 * while all is well.
 * @throws {StoreError} when the store or the tree cannot be read.
 */
export async function examine(
  place: TreePlace,
  inputs: PublicationInputs,
): Promise<string[]> {
  const { definition, version } = inputs;
  const { store, tree } = place;
  const record = await readPublication(store, idOf(place, inputs));
  if (record === undefined)
    return [`${definition} ${version} has no publication record`];
  const claim = claimOfAnother(place, inputs, record);
  if (claim !== undefined) return [claim];
  const problems: string[] = [];
  for (const file of record.files) {
    const problem = await examineFile(tree, file);
    if (problem !== undefined) problems.push(problem);
  }
  const views = await viewExaminations.after(
    JSON.stringify([place.platform, inputs.store, inputs.root]),
    () => examineAllViews(place),
  );
  return [...problems, ...views];
}

/**
 * What is wrong with the views is the same for all publications, and takes the reading of all their records. A refresh
 * asks for many publications at once.
 */
const viewExaminations = new SharedRuns<readonly string[]>();

async function examineAllViews(place: TreePlace): Promise<readonly string[]> {
  const problems = async (records: TreeRecords) =>
    examineViews(place.tree, await viewsOf(place, records));
  // Somebody may be about to change them.
  const isWell = (await problems(await recordsOf(place))).length === 0;
  return isWell ? [] : withRecords(place, problems);
}

/**
 * Makes the index say what became of images in other places, too, which come to their ends at other times. Nothing is
 * written where it does already.
 * @throws {StoreError} when the store or the tree cannot be read or written.
 */
export async function refreshIndex(place: TreePlace): Promise<void> {
  const isRight = async (records: TreeRecords) =>
    isIndexRight(place.tree, await viewsOf(place, records));
  if (await isRight(await recordsOf(place))) return;
  await withRecords(place, async (records) =>
    writeViews(place.tree, records.own, await viewsOf(place, records)),
  );
}

/**
 * Takes a publication away: its files, what is derived from its record, the record, and the directories
 * that this leaves empty. One that is not there, or is another stack's, is left as it is.
 * @throws {StoreError} when something cannot be removed.
 */
export function withdraw(
  place: TreePlace,
  inputs: PublicationInputs,
): Promise<void> {
  return place.store.withLock(
    publicationLock(place, inputs),
    publicationPatienceSeconds,
    () =>
      withRecords(place, async (records) => {
        const own = records.own.find((record) => isOwn(inputs, record));
        if (own !== undefined) await withdrawRecord(place, records, own);
      }),
  );
}

async function publishSources(
  place: TreePlace,
  inputs: PublicationInputs,
  sources: ImageSources,
): Promise<Published> {
  const existing = await readOwnRecord(place, inputs);
  await withRecords(place, ({ own }) =>
    refuseForeignViews(place.tree, own, inputs),
  );
  const files = await placeFiles(place, inputs, sources, existing);
  const record = recordOf(place, inputs, sources.build, files, existing);
  await withRecords(place, async ({ own: before, elsewhere }) => {
    const others = before.filter((each) => !isOwn(inputs, each));
    await removeFiles(place, existing, record);
    await writePublication(place.store, record);
    const own = [...others, record];
    const views = await viewsOf(place, { own, elsewhere });
    await writeViews(place.tree, before, views);
  });
  return publishedOf(record);
}

/** Everything is made ready before anything is put into place. */
function placeFiles(
  { platform, tree, store }: TreePlace,
  inputs: PublicationInputs,
  sources: ImageSources,
  existing: PublicationRecord | undefined,
): Promise<PublishedFile[]> {
  const recorded = new Set(existing?.files.map(({ path }) => path));
  const isRecorded = (path: string) => recorded.has(path);
  const files: ImageFiles = { tree, store, image: inputs, isRecorded };
  return tree.withDrafts(channelDirectory(inputs), async (drafts) => {
    const prepared = await prepareFiles(platform, files, drafts, sources);
    for (const { file, draft } of prepared) {
      if (draft !== undefined)
        await tree.put(draft.path, file.path, draft.digests);
    }
    return prepared.map(({ file }) => file);
  });
}

async function prepareFiles(
  platform: string,
  wanted: ImageFiles,
  drafts: string,
  { build, uploads, others }: ImageSources,
): Promise<PreparedFile[]> {
  const images: PreparedFile[] = [];
  const files = [];
  for (const { format, artifact } of uploads) {
    const source = { suffix: format, artifact };
    const image = await prepareFile(wanted, drafts, source);
    images.push(image);
    files.push({ format, ref: image.file.path, sha512: image.file.sha512 });
  }
  const { channel } = wanted.image;
  const content = manifestText({ build, channel, provider: platform, files });
  const documents: PreparedFile[] = [];
  for (const source of [{ suffix: "json", content } as const, ...others]) {
    documents.push(await prepareFile(wanted, drafts, source));
  }
  return [...images, ...documents];
}

/** The record of what is in place now; a publication that is mended keeps its moment. */
function recordOf(
  { platform }: TreePlace,
  inputs: PublicationInputs,
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
  place: TreePlace,
  { own: records, elsewhere }: TreeRecords,
  own: PublicationRecord,
): Promise<void> {
  const others = records.filter((record) => record !== own);
  const views = await viewsOf(place, { own: others, elsewhere });
  await writeViews(place.tree, records, views);
  await removeFiles(place, own, undefined);
  await removePublication(place.store, idOf(place, imageNameOf(own)));
}

/** Removes the files of a record that another one does not have, and directories left empty. */
async function removeFiles(
  { tree }: TreePlace,
  record: PublicationRecord | undefined,
  successor: PublicationRecord | undefined,
): Promise<void> {
  const kept = new Set(successor?.files.map(({ path }) => path));
  for (const { path } of record?.files ?? []) {
    if (!kept.has(path)) await tree.remove(path);
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
  place: TreePlace,
  inputs: PublicationInputs,
): Promise<PublicationRecord | undefined> {
  const record = await readPublication(place.store, idOf(place, inputs));
  const claim =
    record === undefined ? undefined : claimOfAnother(place, inputs, record);
  if (claim !== undefined) throw new StoreError(claim);
  return record;
}

/** What the store calls a publication of this platform. */
function idOf(
  { platform }: TreePlace,
  { definition, version, channel }: ImageName,
): PublicationId {
  return { platform, definition, version, channel };
}

/** Says whose a record is, unless it is this publication's. */
function claimOfAnother(
  place: TreePlace,
  inputs: PublicationInputs,
  record: PublicationRecord,
): string | undefined {
  const name = `${inputs.definition} ${inputs.version}`;
  if (record.stack !== inputs.stack) {
    return `${name} is published by the stack ${record.stack}, and one store has one publication of a version in a channel. Destroy it there, or give this stack a store of its own.`;
  }
  if (record.key !== inputs.key) {
    return `${name} is published from the key ${record.key}, and a version is never used again. Destroy that publication before this one is made.`;
  }
  if (!place.isRoot(record.inputs.root)) {
    return `${name} is published in ${record.inputs.root}, and one store has one publication of a version in a channel. Destroy that one before it is made elsewhere.`;
  }
  return undefined;
}

/** Whether a record of this root is this publication's. */
function isOwn(inputs: PublicationInputs, record: PublicationRecord): boolean {
  return (
    record.definition.name === inputs.definition &&
    record.version === inputs.version &&
    record.channel === inputs.channel &&
    record.stack === inputs.stack &&
    record.key === inputs.key
  );
}

/** Runs `use` with the records of everything in the tree, while nobody changes them or the views. */
function withRecords<T>(
  place: TreePlace,
  use: (records: TreeRecords) => Promise<T>,
): Promise<T> {
  return place.store.withLock(place.lock, viewsPatienceSeconds, async () =>
    use(await recordsOf(place)),
  );
}

/** @throws {StoreError} when any record cannot be read. */
async function recordsOf(place: TreePlace): Promise<TreeRecords> {
  const all = await listPublications(place.store);
  const isInTree = ({ platform, inputs }: PublicationRecord) =>
    platform === place.platform && place.isRoot(inputs.root);
  return {
    own: all.filter(isInTree),
    elsewhere: all.filter((record) => !isInTree(record)),
  };
}

function publicationLock(
  { platform }: TreePlace,
  { definition, version, channel }: PublicationInputs,
): string {
  return `${platform}-${definition}-${version}-${channel}`;
}
