/** What became of a stack's images: of each in the last run, and how old the newest good version of each is. */

import type { StackConfig } from "./config.ts";
import type {
  Definition,
  DefinitionName,
  ImageVersion,
} from "./definitions/definition.ts";
import { table } from "./definitions/listing.ts";
import { UserError } from "./errors.ts";
import { retryMoment } from "./image/attempt.ts";
import {
  type PlacedVersion,
  type PlaceState,
  readPlaceStates,
} from "./platforms/placeStates.ts";
import { type PlaceId, placeName } from "./platforms/platform.ts";
import { listFailures, readRunOf } from "./store/attempts.ts";
import { listPublications, readBuild } from "./store/documents.ts";
import { openStore, storeAddress } from "./store/openStore.ts";
import {
  type BuildRecord,
  type FailureRecord,
  isDeclared,
  type PublicationRecord,
  type RunRecord,
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
  /** What each of its places has now, and what the run made of that. */
  readonly places: readonly (PlaceState & { readonly state: State })[];
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
  /** What each place has, where the last run was to publish it. */
  readonly places: readonly PlaceState[];
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
  const run = await readRunOf(store, stack);
  const places = await readPlaceStates(store, run ? [run] : [], publications);
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
      places: places.filter((each) => each.definition === definition.name),
    };
  });
  return { run, images: await Promise.all(images) };
}

/** What a run made of one image; `undefined` for one that it did not declare. Pure. */
export function stateOf(
  run: RunRecord,
  { definition, published, newestBuild, failures, places }: KnownImage,
): ImageState | undefined {
  const { name } = definition;
  const declared = run.images.find(({ definition }) => definition === name);
  if (declared === undefined) return undefined;
  const { key } = declared;
  const isOfRun = (moment: string) =>
    Date.parse(moment) >= Date.parse(run.startedAt);
  const [newest] = published;
  const base = { name, version: newest?.version };

  const records = published.filter((record) => isDeclared(declared, record));
  const isBuilt = newestBuild?.key === key && isOfRun(newestBuild.builtAt);
  const stateSince = (publishedAt: string) =>
    isBuilt ? "built" : isOfRun(publishedAt) ? "published" : "unchanged";
  const placesIn = (troubled: State): ImageState["places"] =>
    places.map((place) => ({
      ...place,
      state:
        place.published === undefined || isInTrouble(place)
          ? troubled
          : stateSince(place.published.publishedAt),
    }));
  if (records.length > 0) {
    const newestAt = records.map(({ publishedAt }) => publishedAt).sort();
    const state = places.some(isInTrouble)
      ? "failed"
      : stateSince(newestAt.at(-1) as string);
    return { ...base, state, failures: [], places: placesIn("failed") };
  }
  const own = failures.filter((failure) => failure.key === key);
  const retryAt = own
    .map((failure) => retryMoment(failure).toISOString())
    .sort()
    .at(-1);
  if (retryAt === undefined) {
    return {
      ...base,
      state: "failed",
      failures: [],
      places: placesIn("failed"),
    };
  }
  const isTried = own.some(({ lastAttemptAt }) => isOfRun(lastAttemptAt));
  const tried = definition.allowFailure ? "allowed failure" : "failed";
  const state = isTried ? tried : "waiting";
  return { ...base, state, failures: own, retryAt, places: placesIn(state) };
}

/** What is shown of the states: everything when nothing is said. */
export interface StateFilter {
  /** A platform (`ec2`), a place of its (`frankfurt`), or both (`ec2 frankfurt`). */
  readonly place?: string | undefined;
  /** Only what did not come to a good end. */
  readonly isFailed?: boolean | undefined;
}

/**
 * The states that are asked for, with those of their places that are. Pure.
 *
 * @throws {UserError} for a place that no image has.
 */
export function filterStates(
  states: readonly ImageState[],
  { place, isFailed = false }: StateFilter,
): readonly ImageState[] {
  const isMeant = (id: PlaceId) =>
    place === undefined ||
    [placeName(id), id.platform, id.place].includes(place);
  const all = states.flatMap(({ places }) => places);
  if (place !== undefined && states.length > 0 && !all.some(isMeant)) {
    const known = [...new Set(all.map(placeName))].join(", ");
    throw new UserError(
      `The last run published to no place ${JSON.stringify(place)}, but to: ${known}.`,
    );
  }
  return states.flatMap((state) => {
    const places = state.places.filter(
      (each) => isMeant(each) && (!isFailed || isInTrouble(each)),
    );
    const isShown =
      places.length > 0 ||
      (place === undefined && (!isFailed || isBad(state.state)));
    return isShown ? [{ ...state, places }] : [];
  });
}

function isInTrouble({ isCurrent, error }: PlaceState): boolean {
  return !isCurrent || error !== undefined;
}

function isBad(state: State): boolean {
  return ["failed", "allowed failure", "waiting"].includes(state);
}

/** The states of a run's images, for people; what went wrong below the table. Places that are alike share a line. */
export function stateTable(
  states: readonly ImageState[],
  now = new Date(),
): string {
  const rows = states.flatMap((image) => {
    const lines = Map.groupBy(image.places, (place) =>
      lineOf(image, place, now).join("\n"),
    );
    // Runs of old do not say their places.
    return lines.size === 0
      ? [[image.name, image.version ?? "none", "", "", "", image.state, ""]]
      : [...lines].map(([line, places]) => [
          ...line.split("\n"),
          shownPlaces(places),
        ]);
  });
  const head = ["IMAGE", "VERSION", "CHANNEL", "VERIFIED", "AGE", "STATE"];
  const notes = states.flatMap((state) => [
    ...imageNotes(state),
    ...placeNotes(state),
  ]);
  return [table([[...head, "PLACES"], ...rows]), ...notes].join("\n\n");
}

/** What a line of the table says of a place, but its name. */
function lineOf(
  { name }: ImageState,
  { published, state }: ImageState["places"][number],
  now: Date,
): readonly string[] {
  return [
    name,
    published?.version ?? "none",
    published?.channel ?? "-",
    published === undefined ? "-" : published.isVerified ? "yes" : "no",
    published === undefined ? "-" : ageText(published, now),
    state,
  ];
}

/** In days, and hours where it is less than two. */
function ageText({ builtAt, publishedAt }: PlacedVersion, now: Date): string {
  const hours =
    (now.getTime() - Date.parse(builtAt ?? publishedAt)) / hourMilliseconds;
  return hours < 48
    ? `${Math.max(0, Math.floor(hours))} h`
    : `${Math.floor(hours / 24)} d`;
}

/** `directory, ec2 east west`. */
function shownPlaces(places: readonly PlaceId[]): string {
  const platforms = Map.groupBy(places, ({ platform }) => platform);
  return [...platforms]
    .map(([platform, group]) =>
      [platform, ...group.flatMap(({ place }) => place ?? [])].join(" "),
    )
    .join(", ");
}

function imageNotes({ name, failures, retryAt }: ImageState): string[] {
  return failures.map(
    ({ attempts, message, log }) =>
      `${name}: attempt ${attempts} failed. ${message}\n  Log: ${log}\n  Tried again from ${retryAt}, or at once after scripts/images retry ${name}.`,
  );
}

/** Of those that failed alone, those with the same message in one note. */
function placeNotes({ name, state, failures, places }: ImageState): string[] {
  if (failures.length > 0) return [];
  const troubled = places.filter(isInTrouble);
  const groups = Map.groupBy(
    troubled,
    ({ error }) => error?.message ?? "What the run printed says why.",
  );
  const notes = [...groups].map(
    ([message, group]) =>
      `${name} ${group.every(({ isCurrent }) => isCurrent) ? "has trouble in" : "was not published to"} ${shownPlaces(group)}: ${message}`,
  );
  return state === "failed" && places.length === 0
    ? [`${name} was not published; what the run printed says why.`]
    : notes;
}

const hourMilliseconds = 3_600_000;
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
