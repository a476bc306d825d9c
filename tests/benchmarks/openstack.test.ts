import { expect, test } from "vitest";
import { comparisonOf } from "../../benchmarks/openstack.ts";
import { comparisonOf as publicationsOf } from "../../benchmarks/publications.ts";

const usage = { seconds: 12, cpuSeconds: 6, peakMemoryMiB: 100.4 };

test("what is asked of an upload stands beside what it took", () => {
  const { details, notes } = comparisonOf(
    "openstack 1 GiB",
    { side: usage, result: { sendSeconds: 11 } },
    { side: usage, result: { sendSeconds: 10 } },
  );
  expect(details).toEqual({ timeRatio: 1.1, sendSeconds: [11, 10] });
  expect(notes).toEqual([
    "1.1 of the transfers' own time (at most 1.3)",
    "100 MiB of memory at the peak (at most 128)",
  ]);
});

test("a way that failed has no figures", () => {
  const failed = { side: { failed: "it ended" } };
  expect(
    comparisonOf("openstack", failed, { side: usage }).details,
  ).toBeUndefined();
  expect(publicationsOf({ failed: "it ended" }, 200).notes).toEqual([
    "200 publications",
  ]);
});
