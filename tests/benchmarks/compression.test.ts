import { describe, expect, it } from "vitest";
import { comparisonOf } from "../../benchmarks/compression.ts";

const ours = { seconds: 8, cpuSeconds: 12, peakMemoryMiB: 500, sizeMB: 150 };
const theirs = {
  seconds: 300,
  cpuSeconds: 300,
  peakMemoryMiB: 700,
  sizeMB: 100,
};

describe("a way to make images small", () => {
  it("is set beside xz by processor time and size", () => {
    const { details, notes, labels } = comparisonOf("x", "ours", ours, theirs);
    expect(labels).toEqual({ ours: "ours", theirs: "xz -9" });
    expect(details).toEqual({ cpuRatio: 0.04, sizeRatio: 1.5 });
    expect(notes?.[0]).toMatch(
      /0\.040 of the CPU seconds .* 1\.500 of its size: 150\.0 MB beside 100\.0 MB/,
    );
  });

  it("has no figures when one of them was not measured", () => {
    const comparison = comparisonOf("x", "ours", ours, { failed: "no xz" });
    expect(comparison.details).toBeUndefined();
    expect(comparison.theirs).toEqual({ failed: "no xz" });
  });
});
