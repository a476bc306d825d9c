import { describe, expect, it } from "vitest";
import {
  type Comparison,
  ratioOf,
  toJson,
  toTable,
} from "../../benchmarks/results.ts";

const cold: Comparison = {
  name: "cold",
  labels: { ours: "cloud-images", theirs: "fai-diskimage" },
  ours: { seconds: 40.04, cpuSeconds: 38.5, peakMemoryMiB: 1200.4 },
  theirs: { seconds: 100.1, cpuSeconds: 61.06, peakMemoryMiB: 310 },
  details: { packages: { ours: 277, theirs: 277 } },
  notes: ["277 packages in ours, 277 in theirs, the same"],
};
const skipped: Comparison = {
  ...cold,
  name: "warm",
  theirs: { skipped: "No loop device can be had." },
  notes: [],
};
const failed: Comparison = {
  ...cold,
  name: "broken",
  ours: { failed: "mirror gone" },
  notes: [],
};

describe("the ratio", () => {
  it("is above 1 when ours is faster", () => {
    expect(ratioOf(cold)).toBe(2.5);
  });

  it("does not exist unless both sides were measured", () => {
    expect(ratioOf(skipped)).toBeNull();
    expect(ratioOf(failed)).toBeNull();
  });
});

it("JSON has one property for each comparison, rounded, with reasons in place of figures", () => {
  expect(JSON.parse(toJson([cold, skipped, failed]))).toEqual({
    cold: {
      ratio: 2.5,
      ours: { seconds: 40, cpuSeconds: 38.5, peakMemoryMiB: 1200.4 },
      theirs: { seconds: 100.1, cpuSeconds: 61.1, peakMemoryMiB: 310 },
      packages: { ours: 277, theirs: 277 },
    },
    warm: expect.objectContaining({
      ratio: null,
      theirs: { skipped: "No loop device can be had." },
    }),
    broken: expect.objectContaining({
      ratio: null,
      ours: { failed: "mirror gone" },
    }),
  });
});

it("the table has a row for each side, and says below it why figures are missing", () => {
  expect(toTable([cold, skipped]).split("\n")).toEqual([
    "                     seconds  CPU seconds  peak MiB  ratio",
    "cold  cloud-images      40.0         38.5      1200",
    "      fai-diskimage    100.1         61.1       310   2.50",
    "warm  cloud-images      40.0         38.5      1200",
    "      fai-diskimage  skipped",
    "",
    expect.stringMatching(/^ratio: /),
    "cold: 277 packages in ours, 277 in theirs, the same",
    "warm: fai-diskimage was skipped: No loop device can be had.",
  ]);
});
