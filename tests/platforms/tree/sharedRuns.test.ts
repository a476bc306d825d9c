import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { SharedRuns } from "../../../infra/platforms/tree/sharedRuns.ts";

test("those who ask at once share a run, and those who ask during it share one that begins after it", async () => {
  const runs = new SharedRuns<number>();
  let begun = 0;
  const gates = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ];
  const run = async () => {
    const number = begun++;
    await gates[number]?.promise;
    return number;
  };
  const first = [runs.after("a", run), runs.after("a", run)];
  await setImmediate();
  const second = [runs.after("a", run), runs.after("a", run)];
  await setImmediate();
  expect(begun).toBe(1);
  gates[0]?.resolve();
  expect(await Promise.all(first)).toEqual([0, 0]);
  await setImmediate();
  expect(begun).toBe(2);
  const third = runs.after("a", run);
  gates[1]?.resolve();
  gates[2]?.resolve();
  expect(await Promise.all([...second, third])).toEqual([1, 1, 2]);
});

test("nothing is remembered of runs that are over, or shared between different things", async () => {
  const runs = new SharedRuns<string>();
  let content = "before";
  expect(await runs.after("a", async () => content)).toBe("before");
  content = "after";
  expect(
    await Promise.all([
      runs.after("a", async () => content),
      runs.after("b", async () => "another"),
    ]),
  ).toEqual(["after", "another"]);
});

test("a run that fails does so for those who asked for it alone", async () => {
  const runs = new SharedRuns<string>();
  const failing = runs.after("a", async () => {
    throw new Error("The store cannot be read.");
  });
  const shared = runs.after("a", async () => "not run");
  await expect(failing).rejects.toThrow("cannot be read");
  await expect(shared).rejects.toThrow("cannot be read");
  expect(await runs.after("a", async () => "well")).toBe("well");
});
