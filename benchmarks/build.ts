/**
 * `build`: how long an image takes, ours beside fai-diskimage with the same classes and packages.
 *
 * - `cold`: nothing is kept from earlier. Ours makes its base system by mmdebstrap and downloads all packages;
 *   fai-diskimage calls debootstrap and downloads all packages.
 * - `warm`: the same again. Ours has the base system and the packages of the cold run; fai-diskimage has its base
 *   file, which is all that it can keep: it empties apt's cache itself.
 *
 * Both ask the same mirror for packages, through the network, and both end with a raw disk. Ours includes asking
 * the archive for its state, and boots by UEFI, too; fai-diskimage's image boots by BIOS alone.
 */

import { join } from "node:path";
import type { Definition } from "../infra/definitions/definition.ts";
import {
  type ArchiveState,
  archiveState,
  mirrorOfHost,
} from "../infra/image/archive.ts";
import { type Benchmark, type Context, measureSide } from "./benchmark.ts";
import { configSpace, definitionOf } from "./definitions.ts";
import {
  addBaseFile,
  classicConfigSpace,
  measureFaiDiskimage,
  whyNotHere,
} from "./faiDiskimage.ts";
import {
  comparePackages,
  describePackages,
  packagesThenRemove,
} from "./packages.ts";
import type { Comparison } from "./results.ts";
import type {
  BuildImagesRequest,
  BuildImagesResult,
} from "./sides/buildImages.ts";

/** fai-diskimage can make this one: it needs no partition but the root, and no cloud. */
const imageName = "debian-13-nocloud-amd64";

const labels = { ours: "cloud-images", theirs: "fai-diskimage" };

export const build: Benchmark = {
  summary: `${imageName}, with empty and with filled caches, beside fai-diskimage`,

  async run(context) {
    const job = await prepare(context);
    const cold = await compare(job, "cold");
    if (job.obstacle === undefined) {
      await addBaseFile(context, job.classic, job.definition, job.archive);
    }
    return [cold, await compare(job, "warm")];
  },
};

/** What both runs share. */
interface Job {
  readonly context: Context;
  readonly definition: Definition;
  readonly archive: ArchiveState;
  /** Their config space. */
  readonly classic: string;
  /** Why they cannot run here. */
  readonly obstacle: string | undefined;
}

async function prepare(context: Context): Promise<Job> {
  const { directory } = context;
  const definition = await definitionOf(imageName);
  const archive = await archiveState(
    definition.release,
    definition.architecture,
    await mirrorOfHost(),
    join(directory, "archive"),
  );
  const classic = join(directory, "classic");
  await classicConfigSpace(configSpace, classic, definition, archive);
  const obstacle = await whyNotHere(directory);
  return { context, definition, archive, classic, obstacle };
}

async function compare(job: Job, name: string): Promise<Comparison> {
  const { ours, phases, packages } = await measureOurs(job, name);
  const { theirs, packages: theirPackages } = await measureTheirs(job, name);
  const difference =
    packages && theirPackages && comparePackages(packages, theirPackages);
  return {
    name,
    labels,
    ours,
    theirs,
    details: {
      ...(phases && { phaseSeconds: phases }),
      ...(difference && { packages: difference }),
    },
    notes: difference === undefined ? [] : [describePackages(difference)],
  };
}

async function measureOurs({ context, definition }: Job, name: string) {
  const { directory, logs } = context;
  const request: BuildImagesRequest = {
    definitions: [definition],
    configSpace,
    cacheDirectory: join(directory, "cache"),
    outputDirectory: join(directory, `ours-${name}`),
    logPrefix: join(logs, `build-${name}-ours-`),
  };
  const { result, side } = await measureSide<BuildImagesResult>(
    context,
    `build ${name}, ours`,
    new URL("sides/buildImages.ts", import.meta.url),
    request,
  );
  const image = join(request.outputDirectory, imageName, "disk.raw");
  return {
    ours: side,
    phases: result?.[imageName],
    packages: await packagesThenRemove(side, image),
  };
}

async function measureTheirs(job: Job, name: string) {
  const { archive, classic, context, definition, obstacle } = job;
  if (obstacle !== undefined) return { theirs: { skipped: obstacle } };
  const image = join(context.directory, `theirs-${name}.raw`);
  const theirs = await measureFaiDiskimage(
    context,
    `build ${name}, fai-diskimage`,
    classic,
    definition,
    archive,
    image,
  );
  return { theirs, packages: await packagesThenRemove(theirs, image) };
}
