/** The key that each definition has now, by its sources and the state of the archive. */

import type { StackConfig } from "./config.ts";
import {
  filesOfDefinition,
  readConfigSpace,
} from "./definitions/configSpace.ts";
import type { Definition, ImageKey } from "./definitions/definition.ts";
import type { ExpandedImage } from "./definitions/expand.ts";
import { imageKey } from "./definitions/key.ts";
import { UserError } from "./errors.ts";
import {
  type ArchiveState,
  archiveDirectory,
  archiveName,
  archiveStates,
  mirrorOfHost,
  pinnedTo,
} from "./image/archive.ts";
import type { Mirror } from "./image/build/aptSources.ts";
import { missingRoom } from "./image/build/room.ts";
import { builderVersion } from "./image/builderVersion.ts";
import {
  judgeFreshness,
  type PresentParts,
  type Verdict,
} from "./image/freshness.ts";
import { packageSetMiB } from "./image/packageSet.ts";
import { projectPath } from "./projectPaths.ts";
import { listBuilds, readBuild } from "./store/documents.ts";
import { openStore, storeAddress } from "./store/openStore.ts";
import type { BuildRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";

/** A definition with its key. */
export interface CurrentKey {
  readonly definition: Definition;
  /** What is built, or stays: that of an older state of the archive where that makes no difference. */
  readonly key: ImageKey;
  readonly archive: ArchiveState;
  /** What the image would be made from now. */
  readonly parts: PresentParts;
  /** What was found out where that is not built; `undefined` where it is. */
  readonly verdict: Verdict | undefined;
}

/** Where FAI's config space is, from the repository's root. */
export const configSpaceDirectory = "image-definitions/fai";
const cacheDirectory = ".cache";

/**
 * Finds the present keys of definitions, in their order.
 *
 * @param options.anew whether every key is that of the present archive, though an image with the same packages be there
 * @throws {UserError} for a class without files, and an archive that cannot be read.
 * @throws {StoreError} when the store cannot be read.
 */
export async function currentKeys(
  definitions: readonly Definition[],
  config: Pick<StackConfig, "archive" | "keys" | "snapshots" | "store">,
  { anew = false }: { readonly anew?: boolean } = {},
): Promise<readonly CurrentKey[]> {
  if (config.keys !== undefined) {
    return givenKeys(definitions, config.keys, config);
  }
  const configSpace = await readConfigSpace(projectPath(configSpaceDirectory));
  const files = definitions.map((definition) =>
    filesOfDefinition(configSpace, definition),
  );
  const states = await archiveStates(
    definitions,
    await mirrors(definitions, config),
    projectPath(cacheDirectory),
  );
  const builder = await builderVersion();
  const judge = judgeIn(config);
  return Promise.all(
    definitions.map(async (definition, index) => {
      const archive = states.get(archiveName(definition)) as ArchiveState;
      const parts = {
        definition,
        archive,
        configSpace: files[index] ?? [],
        builder,
      };
      const key = imageKey(parts);
      const verdict = anew ? undefined : await judge(key, parts);
      const kept = verdict?.kind === "kept" ? verdict.build : { key, archive };
      return {
        definition,
        parts,
        verdict,
        key: kept.key,
        archive: kept.archive,
      };
    }),
  );
}

/**
 * The builds that a stack is told to publish, whatever the archive and the sources have come to since.
 *
 * @throws {UserError} for a key whose build is gone, and an image without a key.
 */
async function givenKeys(
  definitions: readonly Definition[],
  keys: readonly ImageKey[],
  config: Pick<StackConfig, "store">,
): Promise<readonly CurrentKey[]> {
  const store = openStore(storeAddress(config.store));
  const builds = await Promise.all(
    keys.map(async (key) => {
      const build = await readBuild(store, key);
      if (build !== undefined) return build;
      throw new UserError(
        `The store ${store.location} does not have the build ${key} any more: it has expired. Have the image built by a schedule's pipeline, and release the key that it gets.`,
      );
    }),
  );
  return definitions.map(({ name }) => {
    const build = builds.find((each) => each.definition.name === name);
    if (build === undefined) {
      throw new UserError(
        `None of the keys in cloud-images:keys is one of ${name}. Add it, or take the image out of cloud-images:definitions.`,
      );
    }
    const { key, archive, definition, sources } = build;
    const { configSpace = [], builder = "" } = sources ?? {};
    const parts = { definition, archive, configSpace, builder };
    return { definition, key, archive, parts, verdict: undefined };
  });
}

/**
 * Disks from here on hold each image of debian.yaml with a gigabyte to spare. What is added to them is added to a build
 * that says when it is too much: asking apt about every image beforehand takes a quarter of a minute for each archive.
 */
const roomyGiB = 3;

/**
 * Refuses disks that are too small for their packages, as far as apt can tell before a build.
 *
 * @param images the definitions of the keys, with where they were said
 * @throws {UserError} naming file, line and field, and a size that is large enough.
 */
export async function requireRoomForPackages(
  keys: readonly CurrentKey[],
  images: readonly ExpandedImage[],
  store: Store,
): Promise<void> {
  const small = keys.filter(
    ({ definition }) => definition.disk.sizeGiB < roomyGiB,
  );
  for (const { definition, key, archive } of small) {
    if ((await readBuild(store, key)) !== undefined) continue;
    const packagesMiB = await packageSetMiB({
      definition,
      archive,
      configSpace: projectPath(configSpaceDirectory),
      directory: packageDirectory(definition),
    });
    const problem = missingRoom(definition.disk.sizeGiB, packagesMiB ?? 0);
    if (problem === undefined) continue;
    const said = images.find(
      (image) => image.definition.name === definition.name,
    );
    throw new UserError(
      `${said?.places.get("disk.sizeGiB")}: the packages of ${definition.name} ${problem}`,
    );
  }
}

/** Says where each definition's packages come from. */
export async function mirrors(
  definitions: readonly Definition[],
  { archive, snapshots }: Pick<StackConfig, "archive" | "snapshots">,
): Promise<(definition: Definition) => Mirror> {
  const needsPresent = definitions.some(
    (definition) => pinnedTo(definition) === undefined,
  );
  const present = archive ?? (needsPresent ? await mirrorOfHost() : undefined);
  return (definition) => {
    const timestamp = pinnedTo(definition);
    if (timestamp === undefined) return present as Mirror;
    const { debian, security } = snapshots;
    return {
      debian: debian.replaceAll("{timestamp}", timestamp),
      security: security.replaceAll("{timestamp}", timestamp),
      pinnedTo: timestamp,
    };
  };
}

/** Judges images of a stack's store that are not built from the present archive. */
function judgeIn(config: Pick<StackConfig, "store">) {
  const store = openStore(storeAddress(config.store));
  // Each record is read once for all definitions, and none while every image is built.
  let builds: Promise<readonly BuildRecord[]> | undefined;
  return async (
    key: ImageKey,
    parts: PresentParts,
  ): Promise<Verdict | undefined> => {
    const { name } = parts.definition;
    if ((await readBuild(store, key)) !== undefined) return undefined;
    builds ??= listBuilds(store);
    const own = (await builds).filter(
      (build) => build.definition.name === name,
    );
    return judgeFreshness(parts, own, {
      store,
      configSpace: projectPath(configSpaceDirectory),
      directory: packageDirectory(parts.definition),
    });
  };
}

/** Where what is found out about packages of a definition's archive is kept. */
function packageDirectory(definition: Definition): string {
  return `${archiveDirectory(definition, projectPath(cacheDirectory))}-packages`;
}
