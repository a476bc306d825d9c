/** What a published file tree has, put in order from the publication records. Pure. */

import { createHash } from "node:crypto";
import { type ImageType, imageTypes } from "../../definitions/definition.ts";
import type {
  BootCheckRecord,
  BuildRecord,
  PublicationRecord,
} from "../../store/records.ts";
import type { PlaceState } from "../placeStates.ts";
import {
  channelDirectory,
  fileName,
  generator,
  imageNameOf,
  latestDirectoryName,
  newestFirst,
  sumsText,
  undatedName,
  versionDirectory,
} from "./layout.ts";

/** One image in its newest version, with what the store knows of the build. */
export interface NewestImage {
  readonly record: PublicationRecord;
  /** `undefined` when the build has left the store. */
  readonly build: BuildRecord | undefined;
  readonly bootChecks: readonly BootCheckRecord[];
}

/** One image and the versions of it that are published. */
export interface CatalogueImage {
  readonly newest: NewestImage;
  /** Newest first. */
  readonly older: readonly PublicationRecord[];
}

/** One channel of a release and its images. */
export interface CatalogueRelease {
  readonly codename: string;
  readonly version: string;
  readonly channel: ImageType;
  /** Sorted by name. */
  readonly images: readonly CatalogueImage[];
}

/** A newest file under a name without its version. */
export interface LatestFile {
  readonly name: string;
  /** The dated file, relative to the directory of latest ones. */
  readonly target: string;
  readonly sha512: string;
}

/** What `latest` names. */
export interface LatestDirectory {
  /** The same for the same content. */
  readonly name: string;
  readonly files: readonly LatestFile[];
  /** Text of its SHA512SUMS. */
  readonly sums: string;
}

/** `9` before `12`, `12` before `12-backports`, and all numbers before `sid`. */
const versionOrder = new Intl.Collator("en", { numeric: true });

/** All publications by what they are of, newest first. */
export function publicationsByImage(
  records: readonly PublicationRecord[],
): readonly (readonly [PublicationRecord, ...PublicationRecord[]])[] {
  const groups = Map.groupBy(
    inOrder(records),
    ({ channel, definition }) => `${channel}/${definition.name}`,
  );
  return [...groups.values()] as unknown as [
    PublicationRecord,
    ...PublicationRecord[],
  ][];
}

/** Releases by Debian's version number, the newest first, each with what is most settled first; then images by name. */
export function releasesOf(
  images: readonly CatalogueImage[],
): readonly CatalogueRelease[] {
  const groups = Map.groupBy(images, ({ newest }) =>
    channelDirectory(imageNameOf(newest.record)),
  );
  return [...groups.values()]
    .flatMap((group) => {
      const record = group[0]?.newest.record;
      if (record === undefined) return [];
      const { codename, version } = record.definition.release;
      const { channel } = record;
      return [{ codename, version, channel, images: group.toSorted(byName) }];
    })
    .sort(
      (one, other) =>
        versionOrder.compare(other.version, one.version) ||
        imageTypes.indexOf(other.channel) - imageTypes.indexOf(one.channel),
    );
}

/**
 * The text of index.json: all that the records say, newest first, but for what the resource was given,
 * which names paths of the machine that published; of the newest version of each image when it was built; and what the
 * last runs of the stacks came to in all of their places.
 */
export function indexData(
  records: readonly PublicationRecord[],
  newest: readonly NewestImage[],
  places: readonly PlaceState[],
): string {
  const builtAt = new Map(
    newest.map(({ record, build }) => [record, build?.builtAt]),
  );
  const publications = inOrder(records).map((record) => {
    const { platform, inputs, ...said } = record;
    return { ...said, builtAt: builtAt.get(record) };
  });
  const data = { generator, publications, places };
  return `${JSON.stringify(data, undefined, 2)}\n`;
}

/** The text of each version directory's SHA512SUMS, by directory. */
export function sumsByDirectory(
  records: readonly PublicationRecord[],
): ReadonlyMap<string, string> {
  const groups = Map.groupBy(records, (record) =>
    versionDirectory(imageNameOf(record)),
  );
  return new Map(
    [...groups].map(([directory, group]) => {
      const files = group.flatMap((record) => record.files);
      const named = files.map(({ path, sha512 }) => ({
        name: fileName(path),
        sha512,
      }));
      return [directory, sumsText(named)];
    }),
  );
}

/** The directory of each channel's newest images, by where the channel's images are. */
export function latestByChannel(
  records: readonly PublicationRecord[],
): ReadonlyMap<string, LatestDirectory> {
  const newest = publicationsByImage(records).map(([record]) => record);
  const groups = Map.groupBy(newest, (record) =>
    channelDirectory(imageNameOf(record)),
  );
  return new Map(
    [...groups].map(([place, group]) => [place, latestDirectory(group)]),
  );
}

function latestDirectory(
  newest: readonly PublicationRecord[],
): LatestDirectory {
  const files = newest.flatMap((record) =>
    record.files.map(({ path, sha512 }) => ({
      name: undatedName(imageNameOf(record), path),
      target: `../${record.version}/${fileName(path)}`,
      sha512,
    })),
  );
  const links = Object.fromEntries(
    files.map(({ name, target }) => [name, target]),
  );
  const sums = sumsText(files);
  const digest = createHash("sha256")
    .update(JSON.stringify([links, sums]))
    .digest("hex");
  return { name: latestDirectoryName(digest), files, sums };
}

function byName(one: CatalogueImage, other: CatalogueImage): number {
  const [first, second] = [one, other].map(
    ({ newest }) => newest.record.definition.name,
  );
  return compareTexts(first ?? "", second ?? "");
}

function compareTexts(one: string, other: string): number {
  return Number(one > other) - Number(one < other);
}

/** Newest version first, then by name and channel: the same order whatever order they were read in. */
function inOrder(records: readonly PublicationRecord[]): PublicationRecord[] {
  return records.toSorted(
    (one, other) =>
      newestFirst(one.version, other.version) ||
      compareTexts(one.definition.name, other.definition.name) ||
      compareTexts(one.channel, other.channel),
  );
}
