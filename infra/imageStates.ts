/** What became of a stack's images: of each in the last run, and how old the newest good version of each is. */

import type { StackConfig } from "./config.ts";
import type {
  Definition,
  DefinitionName,
  ImageVersion,
} from "./definitions/definition.ts";
import { table } from "./definitions/listing.ts";
import { retryMoment } from "./image/attempt.ts";
import { isOfPlace, type PlaceId, placeName } from "./platforms/platform.ts";
import { listFailures, readRunOf } from "./store/attempts.ts";
import { listPublications, readBuild } from "./store/documents.ts";
import { openStore, storeAddress } from "./store/openStore.ts";
import type {
  BuildRecord,
  FailureRecord,
  PublicationRecord,
  RunRecord,
} from "./store/records.ts";

/**
 * - `built`, `published`: new in this run; `published` was built before, or by somebody else.
 * - `unchanged`: there was nothing to do.
 * - `failed`, `allowed failure`: tried in this run, in vain; also when one of its places did not get it.
 * - `waiting`: failed before, and not tried again yet.
 */
export type State =
  | "built"
  | "published"
  | "unchanged"
  | "failed"
  | "allowed failure"
  | "waiting";

/** What the last run made of one image. */
export interface ImageState {
  readonly name: DefinitionName;
  /** The newest published version, which users have. */
  readonly version?: ImageVersion | undefined;
  readonly state: State;
  /** Why it failed, and where its log is; nothing where the run's own messages are all there is. */
  readonly failures: readonly FailureRecord[];
  /** When it is tried again: ISO 8601, UTC. */
  readonly retryAt?: string;
  /** Places that did not get it, while others did. */
  readonly missing?: readonly PlaceId[];
}

/** What a store knows of one image of a stack. */
export interface KnownImage {
  readonly definition: Definition;
  /** What this stack published of it, the newest first. */
  readonly published: readonly PublicationRecord[];
  /** The build of the newest one; `undefined` when it has left the store. */
  readonly newestBuild: BuildRecord | undefined;
  /** All failures that are recorded of it. */
  readonly failures: readonly FailureRecord[];
}

/** What a store knows of a stack. */
export interface KnownStack {
  /** `undefined` before the first run. */
  readonly run: RunRecord | undefined;
  readonly images: readonly KnownImage[];
}

/**
 * Reads what the store of a stack knows of definitions.
 *
 * @param stack the stack's own name, as in `Pulumi.<name>.yaml`
 * @throws {StoreError} when the store cannot be read.
 */
export async function readStack(
  stack: string,
  definitions: readonly Definition[],
  config: StackConfig,
): Promise<KnownStack> {
  const store = openStore(storeAddress(config.store));
  const publications = await listPublications(store);
  const failures = await listFailures(store);
  const images = definitions.map(async (definition) => {
    const published = publications
      .filter(
        (record) =>
          record.definition.name === definition.name &&
          record.stack.endsWith(`/${stack}`),
      )
      .sort((one, other) => (one.version < other.version ? 1 : -1));
    const [newest] = published;
    return {
      definition,
      published,
      newestBuild: newest && (await readBuild(store, newest.key)),
      failures: failures.filter((each) => each.definition === definition.name),
    };
  });
  return {
    run: await readRunOf(store, stack),
    images: await Promise.all(images),
  };
}

/** What a run made of one image; `undefined` for one that it did not declare. Pure. */
export function stateOf(
  run: RunRecord,
  { definition, published, newestBuild, failures }: KnownImage,
): ImageState | undefined {
  const { name } = definition;
  const declared = run.images.find(({ definition }) => definition === name);
  if (declared === undefined) return undefined;
  const { key, places } = declared;
  const isOfRun = (moment: string) =>
    Date.parse(moment) >= Date.parse(run.startedAt);
  const [newest] = published;
  const base = { name, version: newest?.version };

  const records = published.filter((record) => record.key === key);
  const [current] = records;
  if (current !== undefined) {
    const missing = places.filter(
      (place) => !records.some((record) => isOfPlace(place, record)),
    );
    if (missing.length > 0) {
      return { ...base, state: "failed", failures: [], missing };
    }
    const isBuilt = newestBuild?.key === key && isOfRun(newestBuild.builtAt);
    const isNew = records.some(({ publishedAt }) => isOfRun(publishedAt));
    const state = isBuilt ? "built" : isNew ? "published" : "unchanged";
    return { ...base, state, failures: [] };
  }
  const own = failures.filter((failure) => failure.key === key);
  const retryAt = own
    .map((failure) => retryMoment(failure).toISOString())
    .sort()
    .at(-1);
  if (retryAt === undefined) return { ...base, state: "failed", failures: [] };
  const isTried = own.some(({ lastAttemptAt }) => isOfRun(lastAttemptAt));
  const tried = definition.allowFailure ? "allowed failure" : "failed";
  return {
    ...base,
    state: isTried ? tried : "waiting",
    failures: own,
    retryAt,
  };
}

/** The states of a run's images, for people; what went wrong below the table. */
export function stateTable(states: readonly ImageState[]): string {
  const rows = states.map(({ name, version, state, failures }) => [
    name,
    version ?? "none",
    state,
    // The boot checks of an image share a place for their logs.
    [...new Set(failures.map(({ log }) => log))].join(" ") || "-",
  ]);
  const notes = states.flatMap(({ name, state, failures, retryAt, missing }) =>
    failures.length === 0
      ? state === "failed"
        ? [
            `${name} was not published${toPlaces(missing)}; what the run printed says why.`,
          ]
        : []
      : failures.map(
          ({ attempts, message }) =>
            `${name}: attempt ${attempts} failed. ${message}\n  Tried again from ${retryAt}, or at once after scripts/images retry ${name}.`,
        ),
  );
  return [
    table([["IMAGE", "VERSION", "STATE", "LOG"], ...rows]),
    ...notes,
  ].join("\n\n");
}

function toPlaces(places: readonly PlaceId[] = []): string {
  return places.length === 0 ? "" : ` to ${places.map(placeName).join(", ")}`;
}

const dayMilliseconds = 86_400_000;

/** How long ago an image was last known to be what it should be. */
export interface ImageAge {
  readonly name: DefinitionName;
  /** The newest published version; `undefined` when none is. */
  readonly version?: ImageVersion | undefined;
  /** Its build, or the last run that found nothing to build; ISO 8601, UTC. */
  readonly freshAt?: string | undefined;
  readonly ageDays?: number | undefined;
  readonly alertAfterDays: number;
  readonly isTooOld: boolean;
}

/**
 * The age of an image whose definition has a limit. An image that a run found up to date is as fresh as one that
 * was built then: building it again would have given the same. Pure.
 */
export function ageOf(
  run: RunRecord | undefined,
  { definition, published, newestBuild }: KnownImage,
  now: Date,
): ImageAge | undefined {
  const { name, alertAfterDays } = definition;
  if (alertAfterDays === undefined) return undefined;
  const [newest] = published;
  if (newest === undefined) return { name, alertAfterDays, isTooOld: true };
  const isConfirmed = run?.images.some(({ key }) => key === newest.key);
  const moments = [
    newestBuild?.builtAt ?? newest.publishedAt,
    ...(isConfirmed && run !== undefined ? [run.startedAt] : []),
  ].sort();
  const freshAt = moments.at(-1) as string;
  const ageDays = (now.getTime() - Date.parse(freshAt)) / dayMilliseconds;
  return {
    name,
    version: newest.version,
    freshAt,
    ageDays: Math.round(ageDays * 10) / 10,
    alertAfterDays,
    isTooOld: ageDays > alertAfterDays,
  };
}

/** Ages, for people. */
export function ageTable(ages: readonly ImageAge[]): string {
  if (ages.length === 0) {
    return "No image of this stack has alertAfterDays in its definition.";
  }
  const rows = ages.map(
    ({ name, version, ageDays, alertAfterDays, isTooOld }) => [
      name,
      version ?? "none",
      ageDays === undefined ? "-" : ageDays.toFixed(1),
      String(alertAfterDays),
      isTooOld ? "TOO OLD" : "fresh",
    ],
  );
  return table([["IMAGE", "VERSION", "DAYS", "LIMIT", "STATE"], ...rows]);
}
