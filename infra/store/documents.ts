/**
 * Records in a store, by type: where each is, and reading, writing and removing it. A record is checked
 * when it is read; one that is broken is an error, never taken for a missing one, and never removed.
 */

import pLimit from "p-limit";
import type { z } from "zod";
import type {
  DefinitionName,
  Firmware,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../definitions/definition.ts";
import { StoreError } from "../errors.ts";
import {
  type BootCheckRecord,
  type BuildRecord,
  bootCheckRecordSchema,
  buildRecordSchema,
  type Format,
  type FormatRecord,
  formatRecordSchema,
  type HolderRecord,
  holderRecordSchema,
  type PublicationRecord,
  publicationRecordSchema,
} from "./records.ts";
import type { DocumentName, Sha256, Store } from "./store.ts";

/**
 * The lock under which a build gains or loses records, so that no build is removed while a stack
 * declares it, and no artifact while a record that needs it is being written.
 */
const buildsLock = "builds";

/** Whoever holds that lock reads a few small files for each build of the store: a minute with hundreds in a bucket. */
const buildsLockPatienceSeconds = 600;

/** Documents read at the same time: enough to hide a network's latency, few enough for open files. */
const concurrentReads = 16;

/** What a boot check leaves beside its record: the serial console, the display, JUnit. */
export const bootCheckAttachments = ["log", "png", "xml"] as const;
export type BootCheckAttachment = (typeof bootCheckAttachments)[number];

/** Where everything about a key is. */
function buildDirectory(key: ImageKey): DocumentName {
  return `builds/${key}`;
}

function buildName(key: ImageKey): DocumentName {
  return `${buildDirectory(key)}/build.json`;
}

/** Where everything that FAI and the assembly said is. */
export function buildLogName(key: ImageKey): DocumentName {
  return `${buildDirectory(key)}/build.log`;
}

function formatName(key: ImageKey, format: Format): DocumentName {
  return `${buildDirectory(key)}/formats/${format}.json`;
}

function bootCheckName(key: ImageKey, firmware: Firmware): DocumentName {
  return `${buildDirectory(key)}/boot-checks/${firmware}.json`;
}

/** Where the console, the display or the JUnit file of a boot check is. */
export function bootCheckAttachmentName(
  key: ImageKey,
  firmware: Firmware,
  attachment: BootCheckAttachment,
): DocumentName {
  return `${buildDirectory(key)}/boot-checks/${firmware}.${attachment}`;
}

function holdersDirectory(key: ImageKey): DocumentName {
  return `${buildDirectory(key)}/holders`;
}

/** `organization/project/stack` in one step: Pulumi allows no `~` in any of the three. */
function holderName(key: ImageKey, stack: string): DocumentName {
  return `${holdersDirectory(key)}/${stack.replaceAll("/", "~")}.json`;
}

/** What publication: one version of an image may be in several channels of a platform. */
export interface PublicationId {
  readonly platform: string;
  readonly place?: string | undefined;
  readonly definition: DefinitionName;
  readonly version: ImageVersion;
  readonly channel: ImageType;
}

/** Where the store keeps a publication's record. */
export function publicationName({
  platform,
  place,
  definition,
  version,
  channel,
}: PublicationId): DocumentName {
  const suffix = channel === "release" ? "" : `.${channel}`;
  const where = place === undefined ? platform : `${platform}/${place}`;
  return `publications/${where}/${definition}/${version}${suffix}.json`;
}

/**
 * The build of a key, or `undefined` when it was not built.
 * @throws {StoreError} when the record is broken.
 */
export function readBuild(
  store: Store,
  key: ImageKey,
): Promise<BuildRecord | undefined> {
  return readRecord(store, buildName(key), buildRecordSchema);
}

/**
 * Records a build whose raw image was adopted.
 * @throws {StoreError} when the raw image is not in the store.
 */
export function writeBuild(store: Store, record: BuildRecord): Promise<void> {
  return writeWithArtifact(
    store,
    buildName(record.key),
    record,
    record.raw.sha256,
  );
}

/** The keys that have any document in the store, sorted. */
export async function listKeys(store: Store): Promise<readonly ImageKey[]> {
  const names = await store.list("builds");
  const keys = names.map((name) => name.split("/")[1] as ImageKey);
  return [...new Set(keys)];
}

/**
 * All builds, or those of a definition, the newest first.
 * @throws {StoreError} when the store cannot be read or a record is broken.
 */
export async function listBuilds(
  store: Store,
  name?: DefinitionName,
): Promise<readonly BuildRecord[]> {
  const limit = pLimit(concurrentReads);
  const builds = await limit.map(await listKeys(store), (key) =>
    readBuild(store, key),
  );
  return builds
    .filter((build) => build !== undefined)
    .filter(({ definition }) => name === undefined || definition.name === name)
    .sort((a, b) => (a.version < b.version ? 1 : -1));
}

/**
 * A format of a build, or `undefined` when it was not made.
 * @throws {StoreError} when the record is broken.
 */
export function readFormat(
  store: Store,
  key: ImageKey,
  format: Format,
): Promise<FormatRecord | undefined> {
  return readRecord(store, formatName(key, format), formatRecordSchema);
}

/**
 * Records a format whose file was adopted.
 * @throws {StoreError} when the file is not in the store.
 */
export function writeFormat(
  store: Store,
  key: ImageKey,
  record: FormatRecord,
): Promise<void> {
  const name = formatName(key, record.format);
  return writeWithArtifact(store, name, record, record.artifact.sha256);
}

/**
 * The boot check that a build passed with a firmware, or `undefined` when it passed none.
 * @throws {StoreError} when the record is broken.
 */
export function readBootCheck(
  store: Store,
  key: ImageKey,
  firmware: Firmware,
): Promise<BootCheckRecord | undefined> {
  return readRecord(store, bootCheckName(key, firmware), bootCheckRecordSchema);
}

/** Records a boot check that was passed; its attachments are written before. */
export function writeBootCheck(
  store: Store,
  key: ImageKey,
  record: BootCheckRecord,
): Promise<void> {
  return writeRecord(store, bootCheckName(key, record.firmware), record);
}

/** Forgets that a boot check was passed; its attachments stay until the next one or the build's end. */
export function removeBootCheck(
  store: Store,
  key: ImageKey,
  firmware: Firmware,
): Promise<void> {
  return store.remove(bootCheckName(key, firmware));
}

/**
 * Notes that a stack declares a key, where that is built: from then on nobody removes the build.
 *
 * A key that is not built is not held: a build that fails, or is killed, leaves nothing in the store.
 *
 * @returns the build, or `undefined` when there is none to hold.
 * @throws {StoreError} when its record is broken.
 */
export function holdBuild(
  store: Store,
  key: ImageKey,
  stack: string,
): Promise<BuildRecord | undefined> {
  return withBuildsLock(store, async () => {
    const build = await readBuild(store, key);
    const heldAt = new Date().toISOString();
    const holder: HolderRecord = { stack, heldAt };
    if (build !== undefined) {
      await writeRecord(store, holderName(key, stack), holder);
    }
    return build;
  });
}

/**
 * Notes that a stack does not declare a key any more. When no stack does, everything about the key goes,
 * and those of its artifacts that no other build refers to. Safe to repeat after it was interrupted.
 * @throws {StoreError} when a record is broken; nothing is removed then.
 */
export function releaseBuild(
  store: Store,
  key: ImageKey,
  stack: string,
): Promise<void> {
  return withBuildsLock(store, async () => {
    const own = holderName(key, stack);
    const holders = await store.list(holdersDirectory(key));
    if (holders.every((holder) => holder === own)) {
      await removeBuild(store, key);
    } else {
      await store.remove(own);
    }
  });
}

/** Who holds a build while a job makes it: no stack, as none would ever let go of it. */
export const jobHolder = "jobs/cloud-images/build";

/**
 * Takes the hold of a job away and leaves the build, even where nobody else holds it: for a stack that is still to come. What no
 * stack comes for is removed by {@link removeForsakenBuilds}.
 */
export function leaveBuild(store: Store, key: ImageKey): Promise<void> {
  return withBuildsLock(store, () => store.remove(holderName(key, jobHolder)));
}

/**
 * Removes builds of a definition that nobody holds, but not the newest one.
 *
 * @param before builds since then may still find a stack that wants them, and jobs that hold one for longer are dead
 * @throws {StoreError} when a record is broken; nothing is removed then.
 */
export function removeForsakenBuilds(
  store: Store,
  name: DefinitionName,
  before: Date,
): Promise<void> {
  return withBuildsLock(store, async () => {
    const [, ...older] = await listBuilds(store, name);
    for (const { key, builtAt } of older) {
      if (Date.parse(builtAt) >= before.getTime()) continue;
      const holders = await store.list(holdersDirectory(key));
      const isHeld =
        holders.length > 1 ||
        (holders.length === 1 && !(await isDeadJob(store, key, before)));
      if (!isHeld) await removeBuild(store, key);
    }
  });
}

/** Whether a build is held by a job that has been at it since before that time: it was killed, and could not let go. */
async function isDeadJob(
  store: Store,
  key: ImageKey,
  before: Date,
): Promise<boolean> {
  const hold = await readRecord(
    store,
    holderName(key, jobHolder),
    holderRecordSchema,
  );
  if (hold === undefined) return false;
  const { heldAt } = hold;
  return heldAt === undefined || Date.parse(heldAt) < before.getTime();
}

/**
 * The artifacts go first: without them the records are an incomplete build that the next release, or
 * examination, finds; without the records nobody would find the artifacts.
 */
async function removeBuild(store: Store, key: ImageKey): Promise<void> {
  const names = await store.list("builds");
  const isOwn = (name: DocumentName) =>
    name.startsWith(`${buildDirectory(key)}/`);
  const own = names.filter(isOwn);
  const others = names.filter((name) => !isOwn(name));
  const needed = await artifactsIn(store, others);
  for (const sha256 of await artifactsIn(store, own)) {
    if (!needed.has(sha256)) await store.discard(sha256);
  }
  for (const name of own) await store.remove(name);
}

/** What records of builds and formats, of which those are the names among others, refer to. */
async function artifactsIn(
  store: Store,
  names: readonly DocumentName[],
): Promise<Set<Sha256>> {
  const limit = pLimit(concurrentReads);
  const artifacts = await limit.map(names, async (name) => {
    const [, , part, record] = name.split("/");
    if (part === "build.json") {
      return (await readRecord(store, name, buildRecordSchema))?.raw;
    }
    return part === "formats" && record?.endsWith(".json")
      ? (await readRecord(store, name, formatRecordSchema))?.artifact
      : undefined;
  });
  return new Set(artifacts.flatMap((artifact) => artifact?.sha256 ?? []));
}

/**
 * A publication, or `undefined` where there is none.
 * @throws {StoreError} when the record is broken.
 */
export function readPublication(
  store: Store,
  id: PublicationId,
): Promise<PublicationRecord | undefined> {
  return readRecord(store, publicationName(id), publicationRecordSchema);
}

/** Records a publication that is complete and verified. */
export function writePublication(
  store: Store,
  record: PublicationRecord,
): Promise<void> {
  const id = { ...record, definition: record.definition.name };
  return writeRecord(store, publicationName(id), record);
}

/** Removes the record of a publication that is gone. */
export function removePublication(
  store: Store,
  id: PublicationId,
): Promise<void> {
  return store.remove(publicationName(id));
}

/**
 * All publications on all platforms, sorted by the names of their records.
 * @throws {StoreError} when the store cannot be read or any record is broken: a list with a gap would
 * make retention and the catalogues forget what is public.
 */
export async function listPublications(
  store: Store,
): Promise<readonly PublicationRecord[]> {
  const names = await store.list("publications");
  const limit = pLimit(concurrentReads);
  const records = await limit.map(names, (name) =>
    readRecord(store, name, publicationRecordSchema),
  );
  // One that was removed since it was listed is gone.
  return records.filter((record) => record !== undefined);
}

function withBuildsLock<T>(store: Store, use: () => Promise<T>): Promise<T> {
  return store.withLock(buildsLock, buildsLockPatienceSeconds, use);
}

function writeWithArtifact(
  store: Store,
  name: DocumentName,
  record: object,
  sha256: Sha256,
): Promise<void> {
  return withBuildsLock(store, async () => {
    await store.file(sha256);
    await writeRecord(store, name, record);
  });
}

/** Writes a record as JSON. */
export function writeRecord(
  store: Store,
  name: DocumentName,
  record: object,
): Promise<void> {
  return store.write(name, `${JSON.stringify(record, undefined, 2)}\n`);
}

/**
 * Reads a record, or `undefined` where there is none.
 * @throws {StoreError} when it is broken.
 */
export async function readRecord<T>(
  store: Store,
  name: DocumentName,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const text = await store.read(name);
  if (text === undefined) return undefined;
  const result = schema.safeParse(parseJson(store, name, text));
  if (result.success) return result.data;
  const faults = result.error.issues.map(
    ({ path, message }) => `${path.join(".") || "the whole"}: ${message}`,
  );
  refuse(store, name, `does not hold what it should (${faults.join("; ")})`);
}

function parseJson(store: Store, name: DocumentName, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    refuse(store, name, "is not JSON", error);
  }
}

function refuse(
  store: Store,
  name: DocumentName,
  fault: string,
  cause?: unknown,
): never {
  throw new StoreError(
    `The record ${name} in the store ${store.location} ${fault}. Nothing was removed. Restore it from a backup; or, if what it describes may be made again, remove the record and run \`pulumi refresh\` and \`pulumi up\`.`,
    { cause },
  );
}
