/**
 * What is derived from the publication records and written into the file tree: checksums, `latest`, the
 * catalogue. Views have no memory: they can be made again at any time, and are compared with what the
 * records give to find out whether somebody changed them.
 */

import {
  chmod,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { StoreError } from "../../errors.ts";
import {
  entriesOf,
  moveIntoPlace,
  removeAbandoned,
  unlessMissing,
  withPrivateDirectory,
} from "../../store/directories.ts";
import {
  listPublications,
  readBootCheck,
  readBuild,
} from "../../store/documents.ts";
import { errorCode } from "../../store/fileFailure.ts";
import type { PublicationRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
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
  fileName,
  type ImageName,
  imageNameOf,
  incomingPrefix,
  indexDataName,
  indexPageName,
  isLatestDirectoryName,
  latestLink,
  sumsFileName,
  viewMarks,
  viewPaths,
} from "./layout.ts";
import { indexPage } from "./page.ts";

/** Everything that a set of records gives. Paths are relative to the root. */
export interface Views {
  /** Path to text. */
  readonly files: ReadonlyMap<string, string>;
  /** Where a channel's images are, to what its `latest` points to. */
  readonly latest: ReadonlyMap<string, LatestDirectory>;
}

/** Everybody may read what is published. */
const viewMode = 0o644;

/**
 * The records of everything published in a root.
 * @param isRoot whether a root, as a resource was given it, is the one.
 * @throws {StoreError} when any record cannot be read.
 */
export async function recordsOfRoot(
  store: Store,
  isRoot: (root: unknown) => boolean,
): Promise<readonly PublicationRecord[]> {
  const all = await listPublications(store);
  return all.filter(
    ({ platform, inputs }) => platform === "directory" && isRoot(inputs.root),
  );
}

/** What the records give; what the page says about builds is read from the store. */
export async function viewsOf(
  store: Store,
  records: readonly PublicationRecord[],
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
    files.set(indexDataName, indexData(records, newest));
    files.set(indexPageName, indexPage(releasesOf(images)));
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
  root: string,
  before: readonly PublicationRecord[],
  image: ImageName,
): Promise<void> {
  const own = pathsOf(before);
  for (const path of viewPaths(image)) {
    if (own.has(path) || (await isFreeOrMarked(root, path, image))) continue;
    throw new StoreError(
      `${join(root, path)} exists, and no publication record of this store accounts for it. Nothing was overwritten. Move it away, or publish to another directory.`,
    );
  }
}

/** Whether there is nothing, or a view that is recognised though its record was lost. */
async function isFreeOrMarked(
  root: string,
  path: string,
  image: ImageName,
): Promise<boolean> {
  const target = await linkTarget(join(root, path));
  if (target === undefined) return true;
  if (path === latestLink(channelDirectory(image)))
    return isLatestDirectoryName(target);
  if (target !== "") return false;
  const text = await readFile(join(root, path), "utf8");
  return viewMarks(image).some((mark) => text.includes(mark));
}

/**
 * Makes the file tree's views what they should be.
 * @param before the records until now: those of their views that are no longer given are removed.
 */
export async function writeViews(
  root: string,
  before: readonly PublicationRecord[],
  views: Views,
): Promise<void> {
  await sweep(root, [...pathsOf(before), ...views.files.keys()]);
  for (const [place, directory] of views.latest) {
    await writeLatest(root, place, directory);
  }
  for (const [path, text] of views.files) await writeView(root, path, text);
  const links = [...views.latest.keys()].map(latestLink);
  const given = new Set([...views.files.keys(), ...links]);
  for (const path of pathsOf(before)) {
    if (!given.has(path)) await removeView(root, path);
  }
}

/** What is wrong with the views, a short sentence each; nothing when all is well. */
export async function examineViews(
  root: string,
  views: Views,
): Promise<string[]> {
  const problems: string[] = [];
  for (const [path, text] of views.files) {
    const actual = await unlessMissing(readFile(join(root, path), "utf8"));
    if (actual === undefined) problems.push(`${path} is missing`);
    else if (actual !== text)
      problems.push(`${path} is not what the records give`);
  }
  for (const [place, directory] of views.latest) {
    const link = latestLink(place);
    const target = await linkTarget(join(root, link));
    if (target === undefined) problems.push(`${link} is missing`);
    else if (
      target !== directory.name ||
      !(await isLatestSound(root, place, directory))
    ) {
      problems.push(`${link} is not what the records give`);
    }
  }
  return problems;
}

/** Removes what killed processes left beside the views. */
async function sweep(root: string, paths: readonly string[]): Promise<void> {
  for (const directory of new Set(paths.map((path) => dirname(path)))) {
    await removeAbandoned(join(root, directory), incomingPrefix);
  }
}

async function writeView(
  root: string,
  path: string,
  text: string,
): Promise<void> {
  const place = join(root, path);
  if ((await unlessMissing(readFile(place, "utf8"))) === text) return;
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

/** The directory is complete before the link to it is moved, and the old one goes after that. */
async function writeLatest(
  root: string,
  place: string,
  directory: LatestDirectory,
): Promise<void> {
  const parent = join(root, place);
  await withPrivateDirectory(parent, incomingPrefix, async (incoming) => {
    if (!(await isLatestSound(root, place, directory))) {
      await makeLatest(join(incoming, "new"), directory);
      await replaceDirectory(
        join(incoming, "new"),
        join(parent, directory.name),
        join(incoming, "old"),
      );
    }
    const link = join(root, latestLink(place));
    if ((await linkTarget(link)) !== directory.name) {
      await symlink(directory.name, join(incoming, "latest"));
      await rename(join(incoming, "latest"), link);
    }
  });
  await removeLatestDirectories(parent, directory.name);
}

async function makeLatest(
  path: string,
  directory: LatestDirectory,
): Promise<void> {
  await mkdir(path);
  for (const [name, target] of Object.entries(directory.links)) {
    await symlink(target, join(path, name));
  }
  await writeFile(join(path, sumsFileName), directory.sums);
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
  root: string,
  place: string,
  directory: LatestDirectory,
): Promise<boolean> {
  const path = join(root, place, directory.name);
  const expected = [...Object.keys(directory.links), sumsFileName].sort();
  const names = await entriesOf(path);
  if (names.join("/") !== expected.join("/")) return false;
  for (const [name, target] of Object.entries(directory.links)) {
    if ((await linkTarget(join(path, name))) !== target) return false;
  }
  return (await readFile(join(path, sumsFileName), "utf8")) === directory.sums;
}

/** A file, or a release's `latest` together with the directory that it points to. */
async function removeView(root: string, path: string): Promise<void> {
  await rm(join(root, path), { force: true });
  if (fileName(path) === "latest") {
    await removeLatestDirectories(join(root, dirname(path)), undefined);
  }
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

function pathsOf(records: readonly PublicationRecord[]): Set<string> {
  return new Set(records.flatMap((record) => viewPaths(imageNameOf(record))));
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
