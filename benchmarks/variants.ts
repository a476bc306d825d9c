/**
 * `variants`: how long a set of images of one release takes from nothing, ours beside fai-diskimage.
 *
 * Ours builds them as one `pulumi up` does, with empty caches; fai-diskimage makes one after the other, as its users'
 * pipelines do, and keeps nothing between them. Both ask the same mirror for packages, through the network, and both
 * end with raw disks.
 */

import { join } from "node:path";
import { archiveState, mirrorOfHost } from "../infra/image/archive.ts";
import { type Benchmark, type Context, measureSide } from "./benchmark.ts";
import { configSpace, definitionOf } from "./definitions.ts";
import {
  classicConfigSpace,
  measureFaiDiskimage,
  whyNotHere,
} from "./faiDiskimage.ts";
import {
  comparePackages,
  describePackages,
  packagesThenRemove,
} from "./packages.ts";
import { isMeasured, type Side, type Usage } from "./results.ts";
import type {
  BuildImagesRequest,
  BuildImagesResult,
} from "./sides/buildImages.ts";

const names = ["generic", "genericcloud", "ec2", "gce", "azure"].map(
  (variant) => `debian-13-${variant}-amd64`,
);

export const variants: Benchmark = {
  summary: `${names.length} variants of Debian 13 from nothing, beside fai-diskimage`,

  async run(context) {
    const ours = await measureOurs(context);
    const theirs = await measureTheirs(context);
    const notes = names.flatMap((name) => {
      const our = ours.packages.get(name);
      const their = theirs.packages.get(name);
      if (our === undefined || their === undefined) return [];
      return [`${name}: ${describePackages(comparePackages(our, their))}`];
    });
    return [
      {
        name: "variants",
        labels: { ours: "cloud-images", theirs: "fai-diskimage" },
        ours: ours.side,
        theirs: theirs.side,
        details: { phaseSeconds: ours.phases },
        notes,
      },
    ];
  },
};

/** Names of packages by the image that has them. */
type PackagesByImage = ReadonlyMap<string, readonly string[]>;

async function measureOurs(context: Context) {
  const { directory, logs } = context;
  const request: BuildImagesRequest = {
    definitions: await Promise.all(names.map(definitionOf)),
    configSpace,
    cacheDirectory: join(directory, "cache"),
    outputDirectory: join(directory, "ours"),
    logPrefix: join(logs, "variants-ours-"),
  };
  const { result, side } = await measureSide<BuildImagesResult>(
    context,
    "variants, ours",
    new URL("sides/buildImages.ts", import.meta.url),
    request,
  );
  const packages = new Map<string, readonly string[]>();
  for (const name of names) {
    const image = join(request.outputDirectory, name, "disk.raw");
    const found = await packagesThenRemove(side, image);
    if (found !== undefined) packages.set(name, found);
  }
  return { side, phases: result, packages };
}

async function measureTheirs(
  context: Context,
): Promise<{ readonly side: Side; readonly packages: PackagesByImage }> {
  const packages = new Map<string, readonly string[]>();
  const obstacle = await whyNotHere(context.directory);
  if (obstacle !== undefined) return { side: { skipped: obstacle }, packages };
  let sum: Usage = { seconds: 0, cpuSeconds: 0, peakMemoryMiB: 0 };
  for (const name of names) {
    const definition = await definitionOf(name);
    const archive = await archiveState(
      definition.release,
      definition.architecture,
      await mirrorOfHost(),
      join(context.directory, "archive"),
    );
    const classic = join(context.directory, `classic-${name}`);
    await classicConfigSpace(configSpace, classic, definition, archive);
    const image = join(context.directory, `${name}.raw`);
    const side = await measureFaiDiskimage(
      context,
      `variants, fai-diskimage, ${name}`,
      classic,
      definition,
      archive,
      image,
    );
    const found = await packagesThenRemove(side, image);
    if (!isMeasured(side)) return { side, packages };
    if (found !== undefined) packages.set(name, found);
    sum = {
      seconds: sum.seconds + side.seconds,
      cpuSeconds: sum.cpuSeconds + side.cpuSeconds,
      peakMemoryMiB: Math.max(sum.peakMemoryMiB, side.peakMemoryMiB),
    };
  }
  return { side: { ...sum }, packages };
}
