/** Records of what was tried: what failed, and what a stack's last run was to come to. */

import type { ImageKey } from "../definitions/definition.ts";
import { listKeys, readRecord, writeRecord } from "./documents.ts";
import {
  type FailureRecord,
  failureRecordSchema,
  type PlaceFailureRecord,
  placeFailureRecordSchema,
  type RunRecord,
  runRecordSchema,
  type Step,
} from "./records.ts";
import type { DocumentName, Store } from "./store.ts";

const failuresDirectory: DocumentName = "failures";
const runsDirectory: DocumentName = "runs";
const placeFailuresDirectory: DocumentName = "place-failures";

function failureName(key: ImageKey, step: Step): DocumentName {
  return `${failuresDirectory}/${key}/${step}.json`;
}

/** `organization/project/stack` in one step: Pulumi allows no `~` in any of the three. */
function stackStep(stack: string): string {
  return `${stack.replaceAll("/", "~")}.json`;
}

function runName(stack: string): DocumentName {
  return `${runsDirectory}/${stackStep(stack)}`;
}

function placeFailureName({
  stack,
  platform,
  place,
  definition,
}: Omit<PlaceFailureRecord, "failedAt" | "message">): DocumentName {
  const where = place === undefined ? platform : `${platform}/${place}`;
  return `${placeFailuresOf(stack)}/${where}/${definition}.json`;
}

function placeFailuresOf(stack: string): DocumentName {
  return `${placeFailuresDirectory}/${stack.replaceAll("/", "~")}`;
}

/**
 * The last failure of a step, or `undefined` when it did not fail, or succeeded since.
 * @throws {StoreError} when the record is broken.
 */
export function readFailure(
  store: Store,
  key: ImageKey,
  step: Step,
): Promise<FailureRecord | undefined> {
  return readRecord(store, failureName(key, step), failureRecordSchema);
}

/** Records a failure, in place of the one before. */
export function writeFailure(
  store: Store,
  record: FailureRecord,
): Promise<void> {
  return writeRecord(store, failureName(record.key, record.step), record);
}

/** Forgets a failure; one that is not recorded is no error. */
export function removeFailure(
  store: Store,
  { key, step }: Pick<FailureRecord, "key" | "step">,
): Promise<void> {
  return store.remove(failureName(key, step));
}

/**
 * All failures, sorted by key and step.
 * @throws {StoreError} when a record is broken.
 */
export async function listFailures(
  store: Store,
): Promise<readonly FailureRecord[]> {
  const names = await store.list(failuresDirectory);
  const records = await Promise.all(
    names.map((name) => readRecord(store, name, failureRecordSchema)),
  );
  return records.filter((record) => record !== undefined);
}

/** Records what went wrong in a place, instead of what did before. */
export function writePlaceFailure(
  store: Store,
  record: PlaceFailureRecord,
): Promise<void> {
  return writeRecord(store, placeFailureName(record), record);
}

/**
 * What went wrong in places, of a stack or of all.
 * @throws {StoreError} when a record is broken.
 */
export async function listPlaceFailures(
  store: Store,
  stack?: string,
): Promise<readonly PlaceFailureRecord[]> {
  const names = await store.list(
    stack === undefined ? placeFailuresDirectory : placeFailuresOf(stack),
  );
  const records = await Promise.all(
    names.map((name) => readRecord(store, name, placeFailureRecordSchema)),
  );
  return records.filter((record) => record !== undefined);
}

/** The last runs of all stacks. */
export async function listRuns(store: Store): Promise<readonly RunRecord[]> {
  const names = await store.list(runsDirectory);
  const runs = await Promise.all(
    names.map((name) => readRecord(store, name, runRecordSchema)),
  );
  return runs.filter((run) => run !== undefined);
}

/**
 * What a stack's last run declared, or `undefined` when there was none.
 *
 * @param stack the stack's own name; of several organizations' stacks of that name, the one that ran last
 */
export async function readRunOf(
  store: Store,
  stack: string,
): Promise<RunRecord | undefined> {
  return (await listRuns(store))
    .filter((run) => run.stack.endsWith(`/${stack}`))
    .sort((one, other) => (one.startedAt < other.startedAt ? 1 : -1))[0];
}

/**
 * Records what a run declares, and forgets the stack's failures of what it does not declare any more.
 *
 * @param older keys that it declares beside the current ones
 */
export async function writeRun(
  store: Store,
  run: RunRecord,
  older: readonly ImageKey[],
): Promise<void> {
  const declared = new Set([...run.images.map(({ key }) => key), ...older]);
  for (const failure of await listFailures(store)) {
    if (failure.stack === run.stack && !declared.has(failure.key)) {
      await removeFailure(store, failure);
    }
  }
  for (const failure of await listPlaceFailures(store, run.stack)) {
    const image = run.images.find(
      ({ definition }) => definition === failure.definition,
    );
    const isDeclared = image?.places.some(
      ({ platform, place }) =>
        platform === failure.platform && place === failure.place,
    );
    if (isDeclared !== true) await removePlaceFailure(store, failure);
  }
  await writeRecord(store, runName(run.stack), run);
}

/** Forgets what went wrong in a place. */
export function removePlaceFailure(
  store: Store,
  failure: PlaceFailureRecord,
): Promise<void> {
  return store.remove(placeFailureName(failure));
}

/** Forgets what a stack tried, once it holds no build any more: it was destroyed. */
export async function forgetStackWithoutBuilds(
  store: Store,
  stack: string,
): Promise<void> {
  for (const key of await listKeys(store)) {
    const holders = await store.list(`builds/${key}/holders`);
    if (holders.some((name) => name.endsWith(`/${stackStep(stack)}`))) return;
  }
  for (const failure of await listFailures(store)) {
    if (failure.stack === stack) await removeFailure(store, failure);
  }
  for (const failure of await listPlaceFailures(store, stack)) {
    await removePlaceFailure(store, failure);
  }
  await store.remove(runName(stack));
}
