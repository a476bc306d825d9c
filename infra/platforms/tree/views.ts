/**
 * What is derived from the publication records and written into the file tree: checksums, `latest`, the
 * catalogue. Views have no memory: they can be made again at any time, and are compared with what the
 * records give to find out whether somebody changed them.
 */

import { dirname } from "node:path";
import { StoreError } from "../../errors.ts";
import { listRuns } from "../../store/attempts.ts";
import { readBootCheck, readBuild } from "../../store/documents.ts";
import type { PublicationRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import { readPlaceStates } from "../placeStates.ts";
import {
  type CatalogueImage,
  indexData,
  type LatestDirectory,
  latestByChannel,
  type NewestImage,
  publicationsByImage,
  releasesOf,
  sumsByDirectory,
} from "./catalogue.ts";
import {
  channelDirectory,
  type ImageName,
  imageNameOf,
  indexDataName,
  indexPageName,
  latestLink,
  sumsFileName,
  viewMarks,
  viewPaths,
} from "./layout.ts";
import { indexPage } from "./page.ts";
import type { PublishedTree } from "./publishedTree.ts";

/** Everything that a set of records gives. Paths are relative to the root. */
export interface Views {
  /** Path to text. */
  readonly files: ReadonlyMap<string, string>;
  /** Where a channel's images are, to what its `latest` points to. */
  readonly latest: ReadonlyMap<string, LatestDirectory>;
}

/** All publications of a store. */
export interface TreeRecords {
  /** Those in the tree. */
  readonly own: readonly PublicationRecord[];
  /** Those in other places, which the index tells of. */
  readonly elsewhere: readonly PublicationRecord[];
}

/** What the records give; what the page says about builds and runs is read from the store. */
export async function viewsOf(
  { store, tree }: { readonly store: Store; readonly tree: PublishedTree },
  { own: records, elsewhere }: TreeRecords,
): Promise<Views> {
  const files = new Map<string, string>();
  for (const [directory, sums] of sumsByDirectory(records)) {
    files.set(`${directory}/${sumsFileName}`, sums);
  }
  if (records.length > 0) {
    const images = await Promise.all(
      publicationsByImage(records).map(([newest, ...older]) =>
        catalogueImage(store, newest, older),
      ),
    );
    const newest = images.map((image) => image.newest);
    const stacks = new Set(records.map(({ stack }) => stack));
    const runs = (await listRuns(store)).filter(({ stack }) =>
      stacks.has(stack),
    );
    const all = [...records, ...elsewhere];
    const places = await readPlaceStates(store, runs, all);
    files.set(indexDataName, indexData(records, newest, places));
    files.set(
      indexPageName,
      indexPage(releasesOf(images), places, tree.latestIndex),
    );
  }
  return { files, latest: latestByChannel(records) };
}

async function catalogueImage(
  store: Store,
  record: PublicationRecord,
  older: readonly PublicationRecord[],
): Promise<CatalogueImage> {
  return { newest: await newestImage(store, record), older };
}

async function newestImage(
  store: Store,
  record: PublicationRecord,
): Promise<NewestImage> {
  const { key, definition } = record;
  const checks = await Promise.all(
    definition.bootCheck.firmware.map((firmware) =>
      readBootCheck(store, key, firmware),
    ),
  );
  return {
    record,
    build: await readBuild(store, key),
    bootChecks: checks.filter((check) => check !== undefined),
  };
}

/**
 * Makes sure that no file of somebody else is where a view would be written for the first time.
 * @param before the records until now: their views are ours.
 * @throws {StoreError} naming the file.
 */
export async function refuseForeignViews(
  tree: PublishedTree,
  before: readonly PublicationRecord[],
  image: ImageName,
): Promise<void> {
  const own = pathsOf(before);
  for (const path of viewPaths(image)) {
    if (own.has(path) || (await isFreeOrMarked(tree, path, image))) continue;
    throw new StoreError(
      `${tree.addressOf(path)} exists, and no publication record of this store accounts for it. Nothing was overwritten. Move it away, or publish somewhere else.`,
    );
  }
}

/** Whether there is nothing, or a view that is recognised though its record was lost. */
async function isFreeOrMarked(
  tree: PublishedTree,
  path: string,
  image: ImageName,
): Promise<boolean> {
  const channel = channelDirectory(image);
  if (path === latestLink(channel)) return tree.isLatestFreeOrOwn(channel);
  if (await tree.isLink(path)) return false;
  const text = await tree.readText(path);
  return (
    text === undefined || viewMarks(image).some((mark) => text.includes(mark))
  );
}

/**
 * Makes the file tree's views what they should be.
 * @param before the records until now: those of their views that are no longer given are removed.
 */
export async function writeViews(
  tree: PublishedTree,
  before: readonly PublicationRecord[],
  views: Views,
): Promise<void> {
  const paths = pathsOf(before);
  await tree.tidy([...new Set([...paths, ...views.files.keys()].map(dirname))]);
  for (const [channel, latest] of views.latest) {
    await tree.pointLatest(channel, latest);
  }
  for (const [path, text] of views.files) {
    if ((await tree.readText(path)) !== text) await tree.writeText(path, text);
  }
  const channels = [...views.latest.keys()];
  const given = new Set([...views.files.keys(), ...channels.map(latestLink)]);
  for (const path of paths) {
    if (!given.has(path)) await removeView(tree, path);
  }
}

/** What is wrong with the views, a short sentence each; nothing when all is well. */
export async function examineViews(
  tree: PublishedTree,
  views: Views,
): Promise<string[]> {
  const problems: string[] = [];
  for (const [path, text] of views.files) {
    const actual = await tree.readText(path);
    if (actual === undefined) problems.push(`${path} is missing`);
    else if (actual !== text)
      problems.push(`${path} is not what the records give`);
  }
  for (const [channel, latest] of views.latest) {
    const link = latestLink(channel);
    const state = await tree.examineLatest(channel, latest);
    if (state === "missing") problems.push(`${link} is missing`);
    if (state === "altered")
      problems.push(`${link} is not what the records give`);
  }
  return problems;
}

/** Whether the index is what the records give. */
export async function isIndexRight(
  tree: PublishedTree,
  { files }: Views,
): Promise<boolean> {
  for (const path of [indexDataName, indexPageName]) {
    const text = files.get(path);
    if (text !== undefined && (await tree.readText(path)) !== text)
      return false;
  }
  return true;
}

async function removeView(tree: PublishedTree, path: string): Promise<void> {
  const channel = dirname(path);
  if (path === latestLink(channel)) await tree.removeLatest(channel);
  else await tree.remove(path);
}

function pathsOf(records: readonly PublicationRecord[]): Set<string> {
  return new Set(records.flatMap((record) => viewPaths(imageNameOf(record))));
}
