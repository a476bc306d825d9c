import { expect, test } from "vitest";
import { comparisonOf } from "../../benchmarks/ec2.ts";

const usage = { seconds: 12, cpuSeconds: 6, peakMemoryMiB: 200.4 };
const dataBytes = 1024 ** 3;

test("what is asked of an upload stands beside what it took", () => {
  const { details, notes } = comparisonOf(
    { side: usage, result: { sentBytes: 1.01 * dataBytes, sendSeconds: 10 } },
    { side: usage, result: { sentBytes: dataBytes, sendSeconds: 9 } },
  );
  expect(details).toEqual({
    sentRatio: 1.01,
    throughputRatio: 0.9,
    sendSeconds: [10, 9],
  });
  expect(notes?.at(-1)).toBe("200 MiB of memory at the peak (at most 256)");
});

test("a way that failed has no figures", () => {
  const failed = { side: { failed: "it ended" } };
  expect(comparisonOf(failed, { side: usage }).details).toBeUndefined();
});
