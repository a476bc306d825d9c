import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ImageKey } from "../../infra/definitions/definition.ts";
import {
  BootCheckError,
  BuildError,
  InterruptedError,
  StoreError,
  UserError,
} from "../../infra/errors.ts";
import {
  type Attempt,
  outcomeOf,
  pauseHours,
  retryMoment,
  tryStep,
} from "../../infra/image/attempt.ts";
import { readFailure } from "../../infra/store/attempts.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { definitionWith } from "../definitions/fixtures.ts";

describe("the pause before a step is tried again", () => {
  it("grows from none to a day", () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 99].map(pauseHours)).toEqual([
      0, 1, 2, 4, 8, 16, 24, 24, 24,
    ]);
  });

  it("counts from the last attempt", () => {
    const lastAttemptAt = "2026-11-21T23:30:00.000Z";
    expect(retryMoment({ attempts: 3, lastAttemptAt }).toISOString()).toBe(
      "2026-11-22T01:30:00.000Z",
    );
  });
});

describe("a step", () => {
  let top: string;
  let store: DirectoryStore;
  const key = "a".repeat(64) as ImageKey;
  const attempt: Attempt = {
    definition: definitionWith(),
    key,
    step: "build",
    stack: "organization/cloud-images/one",
    log: "/somewhere/build.log",
  };
  const fail = async () => {
    throw new BuildError("No route to the mirror.");
  };
  const failTimes = async (times: number) => {
    for (let count = 0; count < times; count++) {
      await expect(tryStep(store, attempt, fail)).rejects.toThrow("No route");
    }
  };

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 21, 8) });
    top = await mkdtemp(join(tmpdir(), "attempt-test-"));
    store = new DirectoryStore(join(top, "store"));
  });
  afterEach(async () => {
    vi.useRealTimers();
    await rm(top, { recursive: true });
  });

  it("that fails leaves a record of what, when, why and where its log is", async () => {
    await failTimes(2);
    expect(await readFailure(store, key, "build")).toEqual({
      key,
      definition: "debian-13-tiny-amd64",
      step: "build",
      stack: "organization/cloud-images/one",
      attempts: 2,
      lastAttemptAt: "2026-11-21T08:00:00.000Z",
      message: "No route to the mirror.",
      log: "/somewhere/build.log",
    });
  });

  it("that failed twice is not tried within the hour, and says when and how it is", async () => {
    await failTimes(2);
    const work = vi.fn(async () => "image");
    vi.setSystemTime(Date.UTC(2026, 10, 21, 8, 59));
    const early = tryStep(store, attempt, work);
    await expect(early).rejects.toThrow(BuildError);
    await expect(early).rejects.toThrow(
      /failed 2 times in a row, the last time at 2026-11-21T08:00:00\.000Z, and is not tried before 2026-11-21T09:00:00\.000Z\. To try at the next run: scripts\/images retry debian-13-tiny-amd64\. .* It said: No route to the mirror\.$/,
    );
    expect(work).not.toHaveBeenCalled();
    expect((await readFailure(store, key, "build"))?.attempts).toBe(2);

    vi.setSystemTime(Date.UTC(2026, 10, 21, 9));
    expect(await tryStep(store, attempt, work)).toBe("image");
  });

  it("of another key, or another step of the same, is tried at once", async () => {
    await failTimes(2);
    const done = async () => "done";
    const other = { ...attempt, key: "b".repeat(64) as ImageKey };
    expect(await tryStep(store, other, done)).toBe("done");
    const check = { ...attempt, step: "boot-bios" } as const;
    expect(await tryStep(store, check, done)).toBe("done");
  });

  it("that succeeds leaves nothing of its failures", async () => {
    await failTimes(1);
    await tryStep(store, attempt, async () => {});
    expect(await readdir(top)).toEqual([]);
  });

  it.each([
    new InterruptedError("The build was interrupted."),
    new UserError("There is not enough memory."),
    new StoreError("The disk is full."),
    new Error("A mistake in the program."),
  ])(
    "that could not be tried to its end has not failed: $name",
    async (error) => {
      const work = () => Promise.reject(error);
      await expect(tryStep(store, attempt, work)).rejects.toBe(error);
      expect(await readdir(top)).toEqual([]);
    },
  );
});

describe("the outcome of an image", () => {
  const allowing = definitionWith({ allowFailure: true });

  it("is what the work gives", async () => {
    expect(await outcomeOf(allowing, async () => ({ size: 1 }))).toEqual({
      size: 1,
    });
  });

  it.each([new BuildError("No."), new BootCheckError("No.")])(
    "is its failure where that is allowed, and an error elsewhere: $name",
    async (error) => {
      const work = () => Promise.reject(error);
      expect(await outcomeOf(allowing, work)).toEqual({ failures: ["No."] });
      const strict = definitionWith();
      await expect(outcomeOf(strict, work)).rejects.toBe(error);
    },
  );

  it.each([new UserError("No."), new StoreError("No.")])(
    "is an error when it is not the image that failed: $name",
    async (error) => {
      const work = () => Promise.reject(error);
      await expect(outcomeOf(allowing, work)).rejects.toBe(error);
    },
  );
});
