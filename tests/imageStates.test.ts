import { describe, expect, it } from "vitest";
import type { ImageVersion } from "../infra/definitions/definition.ts";
import {
  ageOf,
  ageTable,
  filterStates,
  type KnownImage,
  type StateFilter,
  stateOf,
  stateTable,
} from "../infra/imageStates.ts";
import type { PlaceState } from "../infra/platforms/placeStates.ts";
import type {
  BuildRecord,
  FailureRecord,
  PublicationRecord,
} from "../infra/store/records.ts";
import type { Sha256 } from "../infra/store/store.ts";
import { sampleBuild, sampleDefinition, sampleKey } from "./store/records.ts";

const stack = "organization/cloud-images/one";
const startedAt = "2026-11-21T08:00:00.000Z";
const before = "2026-11-21T07:00:00.000Z";
const after = "2026-11-21T08:30:00.000Z";
const old = { version: "20261121-0700" };
const now = { version: "20261121-0800" };
const definition = sampleDefinition();
const { name } = definition;
const runOf = (sample: { version: string }) => ({
  stack,
  startedAt,
  images: [{ definition: name, key: sampleKey(sample), places: [] }],
});
const inDirectory: PlaceState = {
  ...{ stack, definition: name, platform: "directory", isCurrent: true },
  published: {
    ...{ version: old.version as ImageVersion, channel: "daily" },
    ...{ builtAt: before, publishedAt: before, isVerified: true },
  },
};
const inEast = { ...inDirectory, platform: "ec2", place: "east" };
/** What the cloud has is of the run before. */
const inNorth: PlaceState = {
  ...{ ...inDirectory, platform: "openstack", place: "north" },
  ...{ isCurrent: false, error: { message: "It is away.", at: after } },
};

/** A line without what makes columns of it. */
function spaced(line: string): string {
  return line.split(/ +/).join(" ");
}

function publicationOf(
  sample: { version: string },
  publishedAt: string,
): PublicationRecord {
  return {
    platform: "directory",
    stack,
    key: sampleKey(sample),
    version: sample.version as ImageVersion,
    definition,
    channel: "daily",
    publishedAt,
    inputs: {},
    files: [],
  };
}

function buildOf(sample: { version: string }, builtAt: string): BuildRecord {
  const raw = { sha256: "1".repeat(64) as Sha256, sizeBytes: 1 };
  return { ...sampleBuild(raw, sample), builtAt };
}

const oldOne: KnownImage = {
  definition,
  published: [publicationOf(old, before)],
  newestBuild: buildOf(old, before),
  failures: [],
  places: [],
};
const failure: FailureRecord = {
  key: sampleKey(now),
  definition: name,
  step: "boot-bios",
  stack,
  attempts: 2,
  lastAttemptAt: after,
  message: "It did not boot.",
  log: "/logs/it",
};

describe("what a run made of an image", () => {
  it("is a failure where one of its places did not get it", () => {
    const well = [inDirectory, inEast];
    const image = { ...oldOne, places: [...well, inNorth] };
    const state = stateOf(runOf(old), image) ?? expect.fail();
    expect(state.state).toBe("failed");
    expect(state.places.map((place) => place.state)).toEqual([
      "unchanged",
      "unchanged",
      "failed",
    ]);
    expect(stateOf(runOf(old), { ...oldOne, places: well })?.state).toBe(
      "unchanged",
    );
  });

  it("is a failure, too, where the right version is there, and something else went wrong", () => {
    const places = [{ ...inNorth, isCurrent: true }];
    const state = stateOf(runOf(old), { ...oldOne, places }) ?? expect.fail();
    expect(state.state).toBe("failed");
    expect(stateTable([state])).toContain(
      `${name} has trouble in openstack north: It is away.`,
    );
  });

  it("is unchanged when it was there before", () => {
    expect(stateOf(runOf(old), oldOne)).toMatchObject({
      state: "unchanged",
      version: old.version,
    });
  });

  it.each([
    ["built", after],
    ["published", before],
  ])("is %s when it is new", (state, builtAt) => {
    const image = {
      ...oldOne,
      published: [publicationOf(now, after), publicationOf(old, before)],
      newestBuild: buildOf(now, builtAt),
    };
    expect(stateOf(runOf(now), image)).toMatchObject({
      state,
      version: now.version,
    });
  });

  it.each([
    ["failed", false, after],
    ["allowed failure", true, after],
    ["waiting", false, before],
    ["waiting", true, before],
  ])(
    "is %s (allowed: %s, tried at %s), and the last good version stays",
    (state, allowFailure, lastAttemptAt) => {
      const image = {
        ...oldOne,
        definition: { ...definition, allowFailure },
        failures: [{ ...failure, lastAttemptAt }],
      };
      const found = stateOf(runOf(now), image);
      expect(found).toMatchObject({ state, version: old.version });
      const text = stateTable([found ?? expect.fail()]);
      expect(text).toMatch(
        new RegExp(`^${name} +${old.version} +${state}$`, "m"),
      );
      expect(text).toContain("\n  Log: /logs/it\n");
      expect(text).toContain("attempt 2 failed. It did not boot.");
      expect(text).toContain(`scripts/images retry ${name}`);
    },
  );

  it("is failed, too, when nothing says why", () => {
    const found = stateOf(runOf(now), oldOne) ?? expect.fail();
    expect(found.state).toBe("failed");
    expect(stateTable([found])).toContain("what the run printed says why");
  });

  it("is not affected by a failure of another key", () => {
    const image = { ...oldOne, failures: [failure] };
    expect(stateOf(runOf(old), image)?.state).toBe("unchanged");
  });

  it("is nothing when the run did not declare it", () => {
    expect(stateOf({ ...runOf(now), images: [] }, oldOne)).toBeUndefined();
  });
});

describe("the table of images and places", () => {
  const image = { ...oldOne, places: [inDirectory, inEast, inNorth] };
  const states = [stateOf(runOf(old), image) ?? expect.fail()];
  const moment = new Date("2026-11-24T06:00:00.000Z");

  it("has one line for places that are alike, and says below what went wrong", () => {
    expect(stateTable(states, moment).split("\n").map(spaced)).toEqual([
      "IMAGE VERSION CHANNEL VERIFIED AGE STATE PLACES",
      `${name} ${old.version} daily yes 2 d unchanged directory, ec2 east`,
      `${name} ${old.version} daily yes 2 d failed openstack north`,
      "",
      `${name} was not published to openstack north: It is away.`,
    ]);
  });

  it.each<[StateFilter, readonly string[]]>([
    [{}, ["directory", "ec2", "openstack"]],
    [{ place: "ec2" }, ["ec2"]],
    [{ place: "north" }, ["openstack"]],
    [{ place: "ec2 east", isFailed: true }, []],
    [{ isFailed: true }, ["openstack"]],
  ])("shows what %j asks for", (filter, platforms) => {
    const shown = filterStates(states, filter).flatMap(({ places }) => places);
    expect(shown.map(({ platform }) => platform)).toEqual(platforms);
  });

  it("names the places that there are to those who ask for another", () => {
    expect(() => filterStates(states, { place: "south" })).toThrow(
      'The last run published to no place "south", but to: directory, ec2 east, openstack north.',
    );
  });
});

describe("the age of an image", () => {
  const limited = {
    ...oldOne,
    definition: { ...definition, alertAfterDays: 3 },
  };
  const day = (number: number, hour = 7) =>
    new Date(Date.UTC(2026, 10, number, hour));

  it("is none without a limit", () => {
    expect(ageOf(undefined, oldOne, day(30))).toBeUndefined();
  });

  it("counts from its build, up to the limit", () => {
    expect(ageOf(undefined, limited, day(24))).toMatchObject({
      ageDays: 3,
      isTooOld: false,
    });
    expect(ageOf(undefined, limited, day(24, 8))?.isTooOld).toBe(true);
  });

  it("counts from the last run that found it up to date", () => {
    const run = { ...runOf(old), startedAt: day(23).toISOString() };
    expect(ageOf(run, limited, day(26))).toMatchObject({
      ageDays: 3,
      isTooOld: false,
    });
    const failing = { ...runOf(now), startedAt: day(23).toISOString() };
    expect(ageOf(failing, limited, day(26))?.isTooOld).toBe(true);
  });

  it("is too high when there is no version at all", () => {
    const none = { ...limited, published: [], newestBuild: undefined };
    const age = ageOf(undefined, none, day(21)) ?? expect.fail();
    expect(age.isTooOld).toBe(true);
    expect(ageTable([age])).toMatch(
      new RegExp(`^${name} +none +- +3 +TOO OLD$`, "m"),
    );
  });
});
