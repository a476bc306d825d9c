/**
 * `boot`: how long the proof that an image boots takes, ours beside bare qemu.
 *
 * `bios` and `uefi-secure-boot`: ours is the whole boot check, from its start, through the system's report on
 * itself, to power-off; `reportSeconds` and `offSeconds` say when each came, from qemu's start. Theirs is the same
 * machine without the check, until a login prompt stands on the serial console, which proves much less:
 * `loginSeconds`, from qemu's start. A ratio near 1 says that the proof costs hardly more than the boot itself.
 */

import { join } from "node:path";
import type { Firmware } from "../infra/definitions/definition.ts";
import {
  type Benchmark,
  type Context,
  type MeasuredSide,
  measureSide,
} from "./benchmark.ts";
import { type Image, imageName, provideImage } from "./image.ts";
import { type Comparison, isMeasured, type Side } from "./results.ts";
import type { BareBootRequest, BareBootResult } from "./sides/bareBoot.ts";
import type { CheckBootRequest, CheckBootResult } from "./sides/checkBoot.ts";

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
