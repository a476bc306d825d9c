import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ImageVersion } from "../../infra/definitions/definition.ts";
import {
  notePlaceFailure,
  settlePlaceFailures,
} from "../../infra/platforms/placeFailures.ts";
import {
  type PlaceState,
  placeStates,
} from "../../infra/platforms/placeStates.ts";
import type { PlaceId } from "../../infra/platforms/platform.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import {
  listPlaceFailures,
  writeFailure,
  writeRun,
} from "../../infra/store/attempts.ts";
import { openStore } from "../../infra/store/openStore.ts";
import type {
  PlaceFailureRecord,
  PublicationRecord,
  RunRecord,
} from "../../infra/store/records.ts";
import type { Store } from "../../infra/store/store.ts";
import { sampleDefinition, sampleKey } from "../store/records.ts";

const stack = "organization/cloud-images/one";
const definition = sampleDefinition();
const { name } = definition;
const old = { version: "20261121-9" };
const now = { version: "20261121-10" };
const startedAt = "2026-11-21T08:00:00.000Z";
const before = "2026-11-21T07:00:00.000Z";
const after = "2026-11-21T08:30:00.000Z";
const directory = { platform: "directory" };
const north = { platform: "openstack", place: "north" };
const run: RunRecord = {
  ...{ stack, startedAt },
  images: [
    { definition: name, key: sampleKey(now), places: [directory, north] },
  ],
};

function publication(
  place: PlaceId,
  { version }: { version: string },
): PublicationRecord {
  return {
    ...{ ...place, stack, definition, channel: "daily", publishedAt: before },
    key: sampleKey({ version }),
    version: version as ImageVersion,
    inputs: {},
    files: [],
  };
}

function failureIn(place: PlaceId, failedAt: string): PlaceFailureRecord {
  const message = `It is away, see ${projectPath(".state/logs/x")}.`;
  return { ...place, stack, definition: name, failedAt, message };
}

function statesOf(
  publications: readonly PublicationRecord[],
  placeFailures: readonly PlaceFailureRecord[] = [],
): readonly PlaceState[] {
  const builtAt = new Map([[sampleKey(now), before]]);
  return placeStates(run, {
    ...{ publications, placeFailures, builtAt, failures: [] },
  });
}

describe("what a place has of an image", () => {
  it("is the version of the run, or the newest before it", () => {
    const [one, other] = statesOf([
      publication(directory, old),
      publication(directory, now),
      publication(north, { version: "20261121-8" }),
      publication(north, old),
    ]);
    expect(one).toMatchObject({
      ...{ ...directory, isCurrent: true },
      published: { ...now, builtAt: before, channel: "daily" },
    });
    expect(other).toMatchObject({
      ...{ ...north, isCurrent: false },
      published: old,
    });
    expect(other?.published).not.toHaveProperty("builtAt");
  });

  it("is the version of the run also where newer ones were", () => {
    const newer = { version: "20261122-1" };
    const [state] = statesOf([
      publication(directory, newer),
      publication(directory, now),
    ]);
    expect(state).toMatchObject({ isCurrent: true, published: now });
  });

  it("is not the version of the run while it is in another channel", () => {
    const [image] = run.images;
    const released = {
      ...run,
      images: [{ ...(image ?? expect.fail()), channel: "release" as const }],
    };
    const daily = publication(directory, now);
    const records = (publications: PublicationRecord[]) => ({
      ...{ publications, placeFailures: [], failures: [] },
      builtAt: new Map(),
    });
    expect(placeStates(released, records([daily]))[0]).toMatchObject({
      isCurrent: false,
      published: { channel: "daily" },
    });
    const both = [daily, { ...daily, channel: "release" as const }];
    expect(placeStates(released, records(both))[0]).toMatchObject({
      isCurrent: true,
      published: { channel: "release" },
    });
    // Runs of old do not say it.
    expect(placeStates(run, records([daily]))[0]).toMatchObject({
      isCurrent: true,
    });
  });

  it("is verified when files were put there, or what is there was compared", () => {
    const files = [{ path: "a", sizeBytes: 1, sha512: "0".repeat(128) }];
    const verification = {
      ...{ readBlocks: 1, allBlocks: 8, verifiedAt: before },
    };
    const states = statesOf([
      { ...publication(directory, now), files },
      { ...publication(north, now), verification },
    ]);
    expect(states.map(({ published }) => published?.isVerified)).toEqual([
      ...[true, true],
    ]);
    expect(statesOf([publication(north, now)])[1]?.published?.isVerified).toBe(
      false,
    );
  });

  it("says what went wrong, and not where the checkout is", () => {
    const [, state] = statesOf([], [failureIn(north, before)]);
    expect(state).toMatchObject({
      isCurrent: false,
      error: { message: "It is away, see .state/logs/x.", at: before },
    });
  });

  it("forgets what went wrong before a run in which all was well", () => {
    const there = [publication(north, now)];
    expect(statesOf(there, [failureIn(north, before)])[1]).not.toHaveProperty(
      "error",
    );
    expect(statesOf(there, [failureIn(north, after)])[1]).toHaveProperty(
      "error",
    );
  });
});

describe("notes of what goes wrong in places", () => {
  let top: string;
  let store: Store;
  const messages = async () =>
    (await listPlaceFailures(store)).map(({ place, message }) => [
      place,
      message,
    ]);

  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), "place-failures-"));
    store = openStore(join(top, "store"));
    await writeRun(store, run, []);
  });
  afterEach(() => rm(top, { recursive: true, force: true }));

  function note(module: string, place: PlaceId): Promise<void> {
    const inputs = { stack, store: store.location, definition: name };
    const error = new Error("no room");
    return notePlaceFailure(module, { ...inputs, place: place.place }, error);
  }

  it("are made for resources of platforms, and for no others", async () => {
    await note("platforms/openstack/glanceImageProvider.ts", north);
    await note("image/faiImageProvider.ts", north);
    await notePlaceFailure("platforms/ec2/x.ts", { store: 1 }, new Error("x"));
    expect(await messages()).toEqual([["north", "no room"]]);
  });

  it("stay as resources made them, and say otherwise which resource it was", async () => {
    await note("platforms/openstack/glanceImageProvider.ts", north);
    await settlePlaceFailures(store, { ...run, startedAt: before }, [
      { ...north, definition: name, error: "resource a failed to register" },
      { ...directory, definition: name, error: "resource b failed" },
    ]);
    expect(await messages()).toEqual([
      [undefined, "resource b failed; what the run printed says why."],
      ["north", "no room"],
    ]);
  });

  it("are not made where the image itself is to blame", async () => {
    await writeFailure(store, {
      ...{ key: sampleKey(now), definition: name, step: "build", stack },
      ...{ attempts: 1, lastAttemptAt: after, message: "no", log: "/x" },
    });
    const end = { ...north, definition: name, error: "skipped" };
    await settlePlaceFailures(store, run, [end]);
    expect(await messages()).toEqual([]);
  });

  it("go when all is well, and with the place", async () => {
    await note("platforms/openstack/glanceImageProvider.ts", north);
    await note("platforms/directory/x.ts", directory);
    const later = { ...run, startedAt: "2126-11-21T08:00:00.000Z" };
    await settlePlaceFailures(store, later, [{ ...north, definition: name }]);
    expect(await messages()).toEqual([[undefined, "no room"]]);
    await writeRun(store, { ...later, images: [] }, []);
    expect(await messages()).toEqual([]);
  });
});
