import { expect, it } from "vitest";
import {
  comparePackages,
  describePackages,
  installedPackages,
  largestPartitionStart,
} from "../../benchmarks/packages.ts";

it("only installed packages count", () => {
  const status =
    "Package: zstd\nStatus: install ok installed\nDescription: x\n Package: no\nVersion: 1.5\n\n" +
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 2\n\n" +
    "Package: held\nStatus: hold ok installed\nVersion: 3\n";
  expect(installedPackages(status)).toEqual(["held 3", "zstd 1.5"]);
});

it("the root partition is the largest, wherever it stands", () => {
  const table = {
    partitiontable: {
      partitions: [
        { start: 262144, size: 6029279 },
        { start: 2048, size: 6144 },
      ],
    },
  };
  expect(largestPartitionStart(JSON.stringify(table))).toBe(262144);
});

it("differences are named on both sides", () => {
  const same = comparePackages(["a 1"], ["a 1"]);
  expect(describePackages(same)).toBe(
    "1 packages in ours, 1 in theirs, the same",
  );
  const different = comparePackages(["a 1", "b 1"], ["a 2"]);
  expect(different).toEqual({
    ours: 2,
    theirs: 1,
    onlyOurs: ["a 1", "b 1"],
    onlyTheirs: ["a 2"],
  });
  expect(describePackages(different)).toBe(
    "2 packages in ours, 1 in theirs; differing: +a 1, +b 1, -a 2",
  );
});
