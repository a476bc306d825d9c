/** What each place has of each image: the table of `scripts/images status` and of the index page. */

import pLimit from "p-limit";
import type {
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../definitions/definition.ts";
import { projectDirectory } from "../projectPaths.ts";
import { listFailures, listPlaceFailures } from "../store/attempts.ts";
import { readBuild } from "../store/documents.ts";
import {
  type DeclaredImage,
  type FailureRecord,
  isDeclared,
  type PlaceFailureRecord,
  type PublicationRecord,
  type RunRecord,
} from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { isOfPlace, type PlaceId } from "./platform.ts";
import { newestFirst } from "./tree/layout.ts";

/** An image in a place where the last run was to publish it. */
export interface PlaceState extends PlaceId {
  readonly stack: string;
  readonly definition: DefinitionName;
  /** What is there; nothing of it where nothing is. */
  readonly published?: PlacedVersion;
  /** Whether that is what the last run was to publish. */
  readonly isCurrent: boolean;
  /** What last went wrong, unless all has been well since. */
  readonly error?: { readonly message: string; readonly at: string };
}

/** The newest version in a place. Moments are ISO 8601, UTC. */
export interface PlacedVersion {
  readonly version: ImageVersion;
  readonly channel: ImageType;
  readonly builtAt?: string;
  readonly publishedAt: string;
  /** Whether what is there was compared with what was built, as far as the stack asks for it. */
  readonly isVerified: boolean;
  /** What the place knows it by, such as `imageId`. */
  readonly names?: Readonly<Record<string, string>> | undefined;
}

/** What places' states are found from. */
export interface PlaceRecords {
  readonly publications: readonly PublicationRecord[];
  readonly failures: readonly FailureRecord[];
  readonly placeFailures: readonly PlaceFailureRecord[];
  /** When keys were built, as far as the store knows. */
  readonly builtAt: ReadonlyMap<ImageKey, string>;
}

/** The states of all places of a run's images, in the run's order. Pure. */
export function placeStates(
  run: RunRecord,
  records: PlaceRecords,
): readonly PlaceState[] {
  return run.images.flatMap((image) =>
    image.places.map((place) => placeState(run, image, place, records)),
  );
}

/** Reads all that the states of runs' places need and that the caller does not have. */
export async function readPlaceStates(
  store: Store,
  runs: readonly RunRecord[],
  publications: readonly PublicationRecord[],
): Promise<readonly PlaceState[]> {
  if (runs.length === 0) return [];
  const keys = new Set(
    runs.flatMap((run) =>
      run.images.flatMap((image) =>
        image.places.flatMap(
          (place) => shownOf(run, image, place, publications)?.key ?? [],
        ),
      ),
    ),
  );
  const [failures, placeFailures, builds] = await Promise.all([
    listFailures(store),
    listPlaceFailures(store),
    pLimit(concurrentReads).map([...keys], (key) => readBuild(store, key)),
  ]);
  const builtAt = new Map(
    builds.flatMap((build) => (build ? [[build.key, build.builtAt]] : [])),
  );
  return runs.flatMap((run) =>
    placeStates(run, { publications, failures, placeFailures, builtAt }),
  );
}

const concurrentReads = 16;

function placeState(
  run: RunRecord,
  image: DeclaredImage,
  { platform, place }: PlaceId,
  { publications, failures, placeFailures, builtAt }: PlaceRecords,
): PlaceState {
  const { stack } = run;
  const { definition, key } = image;
  const id = { platform, ...(place === undefined ? {} : { place }) };
  const shown = shownOf(run, image, id, publications);
  const isCurrent = shown !== undefined && isDeclared(image, shown);
  const ofPlace = placeFailures.find(
    (failure) =>
      failure.stack === stack &&
      failure.definition === definition &&
      failure.platform === platform &&
      failure.place === place,
  );
  const isOfRun = (moment: string) =>
    Date.parse(moment) >= Date.parse(run.startedAt);
  const errors = [
    ...(isCurrent ? [] : failures)
      .filter((failure) => failure.key === key)
      .map(({ lastAttemptAt: at, message }) => ({ at, message })),
    ...(ofPlace !== undefined && (!isCurrent || isOfRun(ofPlace.failedAt))
      ? [{ at: ofPlace.failedAt, message: ofPlace.message }]
      : []),
  ].sort((one, other) => (one.at < other.at ? 1 : -1));
  const [error] = errors;
  const built = shown && builtAt.get(shown.key);
  return {
    ...{ stack, definition, ...id, isCurrent },
    ...(shown === undefined
      ? {}
      : {
          published: {
            version: shown.version,
            channel: shown.channel,
            ...(built === undefined ? {} : { builtAt: built }),
            publishedAt: shown.publishedAt,
            isVerified: isVerified(shown),
            ...(shown.names === undefined ? {} : { names: shown.names }),
          },
        }),
    ...(error === undefined
      ? {}
      : { error: { ...error, message: withoutPaths(error.message) } }),
  };
}

/** What the run was to publish; the newest before while that is not there. */
function shownOf(
  { stack }: RunRecord,
  image: DeclaredImage,
  place: PlaceId,
  publications: readonly PublicationRecord[],
): PublicationRecord | undefined {
  const own = publications
    .filter(
      (record) =>
        record.stack === stack &&
        record.definition.name === image.definition &&
        isOfPlace(place, record),
    )
    .sort((one, other) => newestFirst(one.version, other.version));
  return own.find((record) => isDeclared(image, record)) ?? own[0];
}

/** Files are compared with what was built before they are put into place. */
function isVerified({ verification, files }: PublicationRecord): boolean {
  return verification !== undefined || files.length > 0;
}

/** Where the checkout is, is nobody's business who reads a public page. */
function withoutPaths(message: string): string {
  return message.replaceAll(projectDirectory, "");
}
