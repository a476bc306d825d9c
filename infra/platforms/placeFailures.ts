/** Notes in the store what goes wrong with resources of platforms, for those who look when the run is over. */

import { z } from "zod";
import type { DefinitionName } from "../definitions/definition.ts";
import {
  listFailures,
  listPlaceFailures,
  removePlaceFailure,
  writePlaceFailure,
} from "../store/attempts.ts";
import { openStore } from "../store/openStore.ts";
import { placeFailureRecordSchema, type RunRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { PlaceId } from "./platform.ts";

/** What the resources of a place have in common: those that lack one of these say nothing of an image in a place. */
const inputsSchema = placeFailureRecordSchema
  .unwrap()
  .pick({ stack: true, definition: true, place: true })
  .extend({ store: z.string() });

const modulePattern = /^platforms\/([a-z][a-z0-9]*)\//;

/**
 * Notes that a resource was not made or changed. A store that does not take the note changes nothing of the error itself,
 * which is the engine's to tell.
 *
 * @param module of the resource, below `infra/`: its folder is the platform
 * @param inputs of the resource
 */
export async function notePlaceFailure(
  module: string,
  inputs: unknown,
  error: unknown,
): Promise<void> {
  const platform = modulePattern.exec(module)?.[1];
  const parsed = inputsSchema.safeParse(inputs);
  if (platform === undefined || !parsed.success) return;
  const { store, ...named } = parsed.data;
  const message = error instanceof Error ? error.message : String(error);
  const failedAt = new Date().toISOString();
  const record = { ...named, platform, failedAt, message };
  await writePlaceFailure(openStore(store), record).catch(() => {});
}

/** How an image's publication in a place ended. */
export interface PlaceEnd extends PlaceId {
  readonly definition: DefinitionName;
  /** Which resource failed, as Pulumi says it; nothing when all is well. */
  readonly error?: string;
}

/**
 * At the end of a run: forgets what went wrong before where all is well now, and notes what nobody did, as it is not our
 * resource that failed. Images that were not built are no place's fault.
 */
export async function settlePlaceFailures(
  store: Store,
  { stack, startedAt, images }: RunRecord,
  ends: readonly PlaceEnd[],
): Promise<void> {
  const isOfRun = (moment: string) =>
    Date.parse(moment) >= Date.parse(startedAt);
  const known = await listPlaceFailures(store, stack);
  const unbuilt = new Set(
    (await listFailures(store)).map((failure) => failure.key),
  );
  for (const { definition, platform, place, error } of ends) {
    const id = { stack, definition, platform, place };
    const noted = known.find(
      (failure) =>
        failure.definition === definition &&
        failure.platform === platform &&
        failure.place === place,
    );
    if (noted !== undefined && isOfRun(noted.failedAt)) continue;
    const key = images.find((image) => image.definition === definition)?.key;
    if (error === undefined) {
      if (noted !== undefined) await removePlaceFailure(store, noted);
    } else if (key !== undefined && !unbuilt.has(key)) {
      await writePlaceFailure(store, {
        ...id,
        failedAt: new Date().toISOString(),
        message: `${error}; what the run printed says why.`,
      });
    }
  }
}
