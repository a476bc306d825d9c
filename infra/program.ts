/** What a stack declares: decided here, from configuration, definitions, archive and records. */

import * as pulumi from "@pulumi/pulumi";
import { chooseDefinitions, type StackConfig } from "./config.ts";
import { currentKeys, requireRoomForPackages } from "./currentKeys.ts";
import type {
  Definition,
  ImageKey,
  ImageType,
} from "./definitions/definition.ts";
import { loadImages } from "./definitions/load.ts";
import { StoreError, UserError } from "./errors.ts";
import {
  type PlaceEnd,
  settlePlaceFailures,
} from "./platforms/placeFailures.ts";
import { placesOf } from "./platforms/places.ts";
import { isOfPlace, type Place } from "./platforms/platform.ts";
import { projectPath } from "./projectPaths.ts";
import {
  type Destination,
  fullStackName,
  ImageVersion,
  type ImageVersionArgs,
} from "./release/imageVersion.ts";
import { requirePossibleFormats } from "./release/neededFormats.ts";
import { placeWarnings } from "./release/placeWarnings.ts";
import { olderVersions } from "./release/retention.ts";
import { summaryText } from "./release/summary.ts";
import { writeRun } from "./store/attempts.ts";
import {
  listPublications,
  publicationName,
  readBuild,
} from "./store/documents.ts";
import { openStore, storeAddress } from "./store/openStore.ts";
import type { PublicationRecord, RunRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";

/** What the stack's outputs say. */
export interface ProgramOutputs {
  /** Where everything is, for people. */
  readonly summary: pulumi.Output<string>;
  /** Resolves when every version has come to its end, good or bad. */
  readonly end: pulumi.Output<unknown>;
}

/**
 * Declares every image version of the selected stack.
 *
 * @throws {UserError} for definitions that are wrong or do not fit the configuration, before anything is declared.
 */
export async function declareImages(
  config: StackConfig,
): Promise<ProgramOutputs> {
  const images = await loadImages(
    projectPath("image-definitions"),
    config.type,
  );
  const definitions = chooseDefinitions(pulumi.getStack(), config, images);
  const keys = await currentKeys(definitions, config);
  const address = storeAddress(config.store);
  const store = openStore(address);
  await requireRoomForPackages(keys, images, store);
  const places = await placesOf(config);
  const published = (await listPublications(store)).filter(
    ({ stack, channel }) =>
      stack === fullStackName() && isSameImage(channel, config.type),
  );
  const { type, uploads } = config;
  const shared = { type, store: address, uploads };
  const current = keys.map(({ definition, key, archive }) => ({
    ...{ ...shared, definition, key, archive },
    destinations: places
      .filter((place) => place.takes(definition))
      .map((place) => ({
        place,
        record: published.find(
          (each) => each.key === key && isOfPlace(place, each),
        ),
      })),
  }));
  requireDestinations(current);
  const kept = current.flatMap(({ definition, key }) =>
    keptVersions(definition, key, {
      ...{ places, published },
      versions: config.retention.versions,
    }),
  );
  const older = await Promise.all(
    kept.map(
      async (version): Promise<ImageVersionArgs> => ({
        ...shared,
        ...(await recordedBuild(store, version)),
        destinations: version.destinations,
      }),
    ),
  );
  requirePossibleFormats(
    pulumi.getStack(),
    places,
    [...older, ...current].map(({ definition }) => definition),
  );
  for (const warning of placeWarnings(
    places,
    [...older, ...current],
    published,
  )) {
    await pulumi.log.warn(warning);
  }

  const isPreview = pulumi.runtime.isDryRun();
  const run = runOf(current);
  if (!isPreview) {
    await writeRun(
      store,
      run,
      older.map(({ key }) => key),
    );
  }
  const currentImages = current.map((args) => ({
    definition: args.definition,
    image: new ImageVersion(args),
  }));
  // After those: what versions have in common is described as it is now.
  const olderImages = older.map((args) => new ImageVersion(args));
  const ends = currentImages.flatMap(({ definition, image }) =>
    image.published.map(({ place, image, publication }) => {
      const newest = newestRecord(definition, place, older);
      const pointer = place.point?.(image, publication, newest);
      const { platform, place: name } = place;
      return placeEnd(
        { definition: definition.name, platform, place: name },
        pulumi.all([publication.end, pointer]),
      );
    }),
  );
  const olderEnds = olderImages.flatMap((image) =>
    image.published.map(({ publication: { end } }) =>
      pulumi.recover(pulumi.output(end), () => undefined),
    ),
  );
  const end = pulumi.all([pulumi.all(ends), pulumi.all(olderEnds)]);
  return {
    summary: summaryText(
      currentImages,
      places.flatMap(({ ending }) => ending ?? []),
    ),
    end: isPreview
      ? end
      : end.apply(async ([ends]) => {
          await settlePlaceFailures(store, run, ends);
          for (const place of places) await place.conclude?.(address);
        }),
  };
}

/** How an image's publication in a place ended. */
function placeEnd(
  id: Omit<PlaceEnd, "error">,
  end: pulumi.Output<unknown>,
): pulumi.Output<PlaceEnd> {
  return pulumi.recover(
    end.apply((): PlaceEnd => id),
    (error): PlaceEnd => ({
      ...id,
      error: error instanceof Error ? error.message : String(error),
    }),
  );
}

/** What this run is to come to, so that it can be said afterwards what became of it. */
function runOf(current: readonly ImageVersionArgs[]): RunRecord {
  const images = current.map(({ definition, key, type, destinations }) => ({
    definition: definition.name,
    key,
    channel: type,
    places: destinations.map(({ place: { platform, place } }) => ({
      ...{ platform, place },
    })),
  }));
  const startedAt = new Date().toISOString();
  return { stack: fullStackName(), startedAt, images };
}

/**
 * Makes sure that every image has somewhere to go.
 * @throws {UserError} naming those that have not.
 */
function requireDestinations(images: readonly ImageVersionArgs[]): void {
  const lost = images
    .filter(({ destinations }) => destinations.length === 0)
    .map(({ definition }) => definition.name);
  if (lost.length === 0) return;
  throw new UserError(
    `Pulumi.${pulumi.getStack()}.yaml: no platform takes ${lost.join(", ")}. Take it out of cloud-images:definitions, or let a platform's own definitions name it.`,
  );
}

/**
 * Whether what was published in a channel may go to another one. Daily images become releases as they are; those of
 * `dev` are others, which let root in without a password. Pure.
 */
function isSameImage(one: ImageType, other: ImageType): boolean {
  return one === other || (one !== "dev" && other !== "dev");
}

/** An older version that stays somewhere. */
interface KeptVersion {
  readonly key: ImageKey;
  /** One of its records: they have the definition in common. */
  readonly record: PublicationRecord;
  readonly destinations: readonly Destination[];
}

/** The versions of a definition that retention keeps beside the current key, and where. Pure. */
function keptVersions(
  definition: Definition,
  current: ImageKey,
  {
    places,
    published,
    versions,
  }: {
    readonly places: readonly Place[];
    readonly published: readonly PublicationRecord[];
    readonly versions: number;
  },
): readonly KeptVersion[] {
  const taking = places.filter((place) => place.takes(definition));
  const kept = taking.flatMap((place) =>
    olderVersions(
      current,
      published.filter(
        (record) =>
          record.definition.name === definition.name &&
          isOfPlace(place, record),
      ),
      versions,
    ).map((record) => ({ place, record })),
  );
  const byKey = Map.groupBy(kept, ({ record }) => record.key);
  return [...byKey].map(([key, destinations]) => ({
    key,
    record: (destinations[0] as Destination & KeptVersion).record,
    destinations,
  }));
}

/** The newest of the older versions that are published in a place. */
function newestRecord(
  { name }: Definition,
  place: Place,
  older: readonly ImageVersionArgs[],
): PublicationRecord | undefined {
  return older
    .filter(({ definition }) => definition.name === name)
    .flatMap(({ destinations }) => destinations)
    .filter((destination) => destination.place === place)
    .flatMap(({ record }) => record ?? [])
    .sort((one, other) => (one.version < other.version ? 1 : -1))
    .at(0);
}

/** A published version, as it was declared when it was built. */
async function recordedBuild(
  store: Store,
  { key, record }: KeptVersion,
): Promise<Pick<ImageVersionArgs, "definition" | "key" | "archive">> {
  const build = await readBuild(store, key);
  if (build === undefined) {
    const { definition, version } = record;
    const name = publicationName({ ...record, definition: definition.name });
    throw new StoreError(
      `${store.location} has the publication ${definition.name} ${version}, but not its build ${key}. ` +
        "Nothing is changed before that is put right: restore the store from a backup, " +
        `or remove ${name} from it to give the version up.`,
    );
  }
  return { definition: build.definition, key, archive: build.archive };
}
