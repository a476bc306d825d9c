/** Which packages an image has: whether two images are worth comparing. */

import { rm } from "node:fs/promises";
import { execa } from "execa";
import { sectorBytes } from "../infra/image/build/partitions.ts";
import { isMeasured, type Side } from "./results.ts";

/** How two images differ. */
export interface PackageComparison {
  /** How many packages each has. */
  readonly ours: number;
  readonly theirs: number;
  /** `name version` of what the other lacks, or has in another version. */
  readonly onlyOurs: readonly string[];
  readonly onlyTheirs: readonly string[];
}

/** Installed packages of a raw image with an ext4 root file system, as `name version`, sorted. Nothing is mounted. */
export async function packagesOfImage(
  image: string,
): Promise<readonly string[]> {
  const { stdout } = await execa("sfdisk", ["--json", image]);
  const start = largestPartitionStart(stdout);
  const { stdout: status } = await execa("debugfs", [
    ...["-R", "cat /var/lib/dpkg/status"],
    `${image}?offset=${start * sectorBytes}`,
  ]);
  return installedPackages(status);
}

/** Packages of an image that a measured side has made; the image is removed. */
export async function packagesThenRemove(
  side: Side,
  image: string,
): Promise<readonly string[] | undefined> {
  const packages = isMeasured(side) ? await packagesOfImage(image) : undefined;
  await rm(image, { force: true });
  return packages;
}

/** The first sector of the largest partition in what `sfdisk --json` prints. */
export function largestPartitionStart(json: string): number {
  const { partitiontable } = JSON.parse(json) as {
    partitiontable: { partitions: { start: number; size: number }[] };
  };
  const [largest] = partitiontable.partitions.toSorted(
    (a, b) => b.size - a.size,
  );
  if (largest === undefined) throw new Error("The image has no partition.");
  return largest.start;
}

/** `name version` of all packages that dpkg's status file says are installed, sorted. */
export function installedPackages(status: string): readonly string[] {
  return status
    .split("\n\n")
    .filter((paragraph) => /^Status: \S+ ok installed$/m.test(paragraph))
    .map((paragraph) => {
      const field = (name: string) =>
        new RegExp(`^${name}: (.*)$`, "m").exec(paragraph)?.[1];
      return `${field("Package")} ${field("Version")}`;
    })
    .sort();
}

/** Compares two lists of packages. */
export function comparePackages(
  ours: readonly string[],
  theirs: readonly string[],
): PackageComparison {
  return {
    ours: ours.length,
    theirs: theirs.length,
    onlyOurs: ours.filter((line) => !theirs.includes(line)),
    onlyTheirs: theirs.filter((line) => !ours.includes(line)),
  };
}

/** The comparison in a line for people. */
export function describePackages(comparison: PackageComparison): string {
  const { ours, theirs, onlyOurs, onlyTheirs } = comparison;
  const difference = [
    ...onlyOurs.map((line) => `+${line}`),
    ...onlyTheirs.map((line) => `-${line}`),
  ];
  const counts = `${ours} packages in ours, ${theirs} in theirs`;
  return difference.length === 0
    ? `${counts}, the same`
    : `${counts}; differing: ${difference.join(", ")}`;
}
