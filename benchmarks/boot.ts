/**
 * `boot`: how long the proof that an image boots takes, ours beside bare qemu.
 *
 * `bios` and `uefi-secure-boot`: ours is the whole boot check, from its start, through the system's report on
 * itself, to power-off; `reportSeconds` and `offSeconds` say when each came, from qemu's start. Theirs is the same
 * machine without the check, until a login prompt stands on the serial console, which proves much less:
 * `loginSeconds`, from qemu's start. A ratio near 1 says that the proof costs hardly more than the boot itself.
 */

import { rename } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Definition, Firmware } from "../infra/definitions/definition.ts";
import { UserError } from "../infra/errors.ts";
import { projectPath } from "../infra/projectPaths.ts";
import { sha256OfFile } from "../infra/store/digest.ts";
import { listKeys, readBuild } from "../infra/store/documents.ts";
import { openStore } from "../infra/store/openStore.ts";
import type { Sha256 } from "../infra/store/store.ts";
import {
  type Benchmark,
  type Context,
  type MeasuredSide,
  measureSide,
} from "./benchmark.ts";
import { configSpace, definitionOf } from "./definitions.ts";
import { type Comparison, isMeasured, type Side } from "./results.ts";
import type { BareBootRequest, BareBootResult } from "./sides/bareBoot.ts";
import type {
  BuildImagesRequest,
  BuildImagesResult,
} from "./sides/buildImages.ts";
import type { CheckBootRequest, CheckBootResult } from "./sides/checkBoot.ts";

/** Preferred among those in the store, and built when there is none. */
const imageName = "debian-13-genericcloud-amd64";

const labels = { ours: "boot check", theirs: "bare qemu" };

const firmwares: readonly Firmware[] = ["bios", "uefi-secure-boot"];

export const boot: Benchmark = {
  summary: `the boot check of ${imageName}, beside bare qemu up to a login prompt`,

  async run(context) {
    const image = await provideImage(context);
    const comparisons: Comparison[] = [];
    for (const firmware of firmwares) {
      comparisons.push(await compare(context, image, firmware));
    }
    return comparisons;
  },
};

/** An image on the run's own disk, read just before: neither side reads it from a cold disk. */
interface Image {
  readonly rawPath: string;
  readonly rawSha256: Sha256;
  readonly definition: Definition;
}

async function provideImage(context: Context): Promise<Image> {
  const definition = await definitionOf(imageName);
  const rawPath = join(context.directory, "image.raw");
  const stored = await newestInStore();
  if (stored === undefined) {
    await buildTo(rawPath, context, definition);
  } else {
    await execa("cp", ["--sparse=always", stored, rawPath]);
    await execa("chmod", ["u+w", rawPath]);
  }
  const { sha256 } = await sha256OfFile(rawPath);
  return { rawPath, rawSha256: sha256, definition };
}

/** The newest build of the image in the store of the stack `local`, if it has one. */
async function newestInStore(): Promise<string | undefined> {
  const store = openStore("store");
  const builds = await Promise.all(
    (await listKeys(store)).map((key) => readBuild(store, key)),
  );
  const newest = builds
    .filter((build) => build?.definition.name === imageName)
    .toSorted((a, b) => ((a?.builtAt ?? "") < (b?.builtAt ?? "") ? 1 : -1))[0];
  if (newest === undefined) return undefined;
  return store.file(newest.raw.sha256).catch(() => undefined);
}

async function buildTo(
  rawPath: string,
  context: Context,
  definition: Definition,
): Promise<void> {
  const outputDirectory = join(context.directory, "built");
  const request: BuildImagesRequest = {
    definitions: [definition],
    configSpace,
    cacheDirectory: projectPath(".cache"),
    outputDirectory,
    logPrefix: join(context.logs, "boot-"),
  };
  const { side } = await measureSide<BuildImagesResult>(
    context,
    "boot, image",
    new URL("sides/buildImages.ts", import.meta.url),
    request,
  );
  if (!isMeasured(side)) {
    throw new UserError(
      `There is no image to boot: ${"skipped" in side ? side.skipped : side.failed}`,
    );
  }
  await rename(join(outputDirectory, definition.name, "disk.raw"), rawPath);
}

async function compare(
  context: Context,
  image: Image,
  firmware: Firmware,
): Promise<Comparison> {
  const directory = (side: string) =>
    join(context.directory, `${firmware}-${side}`);
  const check: CheckBootRequest = {
    ...image,
    firmware,
    directory: directory("ours"),
  };
  const ours = await measureSide<CheckBootResult>(
    context,
    `boot ${firmware}, boot check`,
    new URL("sides/checkBoot.ts", import.meta.url),
    check,
  );
  const bare: BareBootRequest = {
    ...image,
    firmware,
    directory: directory("theirs"),
    ...(ours.result && { acceleration: ours.result.acceleration }),
  };
  const theirs = await measureSide<BareBootResult>(
    context,
    `boot ${firmware}, bare qemu`,
    new URL("sides/bareBoot.ts", import.meta.url),
    bare,
  );
  return {
    name: firmware,
    labels,
    ours: withMilestones(ours),
    theirs: withLogin(theirs),
    ...(ours.result && {
      details: { acceleration: ours.result.acceleration },
      notes: [describe(ours.result, theirs.result)],
    }),
  };
}

function withMilestones({ result, side }: MeasuredSide<CheckBootResult>): Side {
  if (!isMeasured(side) || result === undefined) return side;
  const { off = 0, report = 0 } = result.milestoneSeconds;
  return { ...side, reportSeconds: report, offSeconds: off };
}

function withLogin({ result, side }: MeasuredSide<BareBootResult>): Side {
  if (!isMeasured(side) || result === undefined) return side;
  return { ...side, loginSeconds: result.loginSeconds };
}

/** When what came, from qemu's start. */
function describe(
  { acceleration, milestoneSeconds }: CheckBootResult,
  bare: BareBootResult | undefined,
): string {
  const { off, report } = milestoneSeconds;
  const login =
    bare &&
    `, bare qemu's login prompt after ${bare.loginSeconds.toFixed(1)} s`;
  return `by ${acceleration}; from qemu's start: report after ${report} s, power-off after ${off} s${login ?? ""}`;
}
