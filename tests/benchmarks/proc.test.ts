import { expect, it } from "vitest";
import {
  anonymousKiB,
  mountsOf,
  parentOf,
  secondsOfTimes,
  treeOf,
} from "../../benchmarks/measure/proc.ts";

it("mounts are found by type, with places that contain spaces", () => {
  const mountinfo =
    "22 1 0:20 / /proc rw,nosuid shared:2 - proc proc rw\n" +
    "30 22 0:35 / /mnt/with\\040space rw - tmpfs tmpfs rw,size=1024k\n";
  expect(mountsOf(mountinfo)).toEqual([
    { place: "/proc", type: "proc" },
    { place: "/mnt/with space", type: "tmpfs" },
  ]);
});

it("anonymous memory counts in proportion; processes that are gone have none", () => {
  expect(anonymousKiB("Pss:      900 kB\nPss_Anon:     123 kB\n")).toBe(123);
  expect(anonymousKiB("")).toBe(0);
});

it("a program's name cannot pass for another parent", () => {
  expect(parentOf("42 (evil) S 1 (x) S 7 7 0")).toBe(7);
});

it("a tree holds its root and everything below it", () => {
  const parents = new Map([
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1],
  ]);
  expect(treeOf(10, parents)).toEqual([10, 11, 12]);
});

it("times adds up the shell and its children", () => {
  expect(secondsOfTimes("0m0.003s 0m0.002s\n1m2.500s 0m3.000s\n")).toBeCloseTo(
    65.505,
  );
});
