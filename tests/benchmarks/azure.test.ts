import { expect, test } from "vitest";
import { comparisonOf } from "../../benchmarks/azure.ts";

const usage = { seconds: 12, cpuSeconds: 6, peakMemoryMiB: 200.4 };
/** Of the benchmark's disk, footer included. */
const dataBytes = 512 * 1024 ** 2 + 512;

test("what is asked of an upload stands beside what it took", () => {
  const result = { sentBytes: dataBytes, sendSeconds: 10, readSeconds: 5 };
  const { details, notes } = comparisonOf(
    { side: usage, result: { ...result, sentBytes: 1.02 * dataBytes } },
    { side: usage, result: { ...result, sendSeconds: 9, readSeconds: 0 } },
  );
  expect(details).toEqual({
    ...{ sentRatio: 1.02, throughputRatio: 0.9 },
    ...{ sendSeconds: [10, 9], readSeconds: 5 },
  });
  expect(notes?.[0]).toBe(
    "1.02 bytes are sent for each byte of data (at most 1.05)",
  );
});

test("a way that failed has no figures", () => {
  const failed = { side: { failed: "it ended" } };
  expect(comparisonOf(failed, { side: usage }).details).toBeUndefined();
});
