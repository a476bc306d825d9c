/**
 * `compression`: what it costs to make an image small for those who download it, ours beside `xz -9`.
 *
 * Both pack the same file, the sparse tar that `tar.zst` and `tar.xz` have inside, of the newest image in the store.
 * xz works as it does when nothing else is said: on one core, which gives its smallest file. `sizeMB` says how large
 * the results are, in millions of bytes. The other comparisons set other ways beside the same run of `xz -9`.
 */

import { createWriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { compressor } from "../infra/image/convert/compression.ts";
import { diskTar } from "../infra/image/convert/diskArchive.ts";
import { qcow2Arguments } from "../infra/image/convert/virtualDisk.ts";
import { type Benchmark, type Context, measureCommand } from "./benchmark.ts";
import { imageName, provideImage } from "./image.ts";
import { type Comparison, isMeasured, type Side } from "./results.ts";

/** One way to make an image small. */
interface Candidate {
  /** The comparison's name. */
  readonly name: string;
  readonly label: string;
  /** Ends by having written `output`. */
  readonly command: (files: Files) => readonly string[];
}

interface Files {
  readonly raw: string;
  readonly tar: string;
  readonly output: string;
}

const [ownProgram, ownArguments] = compressor("zst");

/** Ends the name of what is made of the tar: xz can be told no more of it. */
const suffix = ".packed";

const xz: Candidate = {
  name: "xz",
  label: "xz -9",
  command: ({ tar }) => ["xz", "-9", "--keep", `--suffix=${suffix}`, tar],
};

const candidates: readonly Candidate[] = [
  {
    name: "compression",
    label: "cloud-images",
    command: ({ tar, output }) => [
      ...[ownProgram, ...ownArguments],
      ...[tar, "-o", output],
    ],
  },
  zstd("zstd-10", ["-10"]),
  zstd("zstd-15-long", ["-15", "--long=27"]),
  {
    name: "compression-qcow2",
    label: "qcow2",
    command: ({ raw, output }) => ["qemu-img", ...qcow2Arguments(raw, output)],
  },
];

export const compression: Benchmark = {
  summary: `packing ${imageName} for release, beside xz -9`,

  async run(context) {
    const { rawPath: raw } = await provideImage(context);
    const tar = join(context.directory, "disk.tar");
    // Dates do not matter to sizes.
    const pieces = diskTar({ path: raw, epochSeconds: 0 });
    await pipeline(Readable.from(pieces), createWriteStream(tar));
    const sides: Side[] = [];
    for (const candidate of [...candidates, xz]) {
      sides.push(await measureCandidate(context, candidate, raw, tar));
    }
    const theirs = sides.pop() as Side;
    return candidates.map(({ name, label }, index) =>
      comparisonOf(name, label, sides[index] as Side, theirs),
    );
  },
};

/** With what our own does not have. */
function zstd(name: string, options: readonly string[]): Candidate {
  return {
    name: `compression-${name}`,
    label: ["zstd", ...options].join(" "),
    command: ({ tar, output }) => [
      ...["zstd", "-q", "-T0", ...options],
      ...[tar, "-o", output],
    ],
  };
}

async function measureCandidate(
  context: Context,
  { label, command }: Candidate,
  raw: string,
  tar: string,
): Promise<Side> {
  const output = `${tar}${suffix}`;
  const measured = await measureCommand(
    context,
    `compression, ${label}`,
    command({ raw, tar, output }),
  );
  if ("failed" in measured) return measured;
  const { size } = await stat(output);
  await rm(output);
  return { ...measured.usage, sizeMB: size / 1e6 } as Side;
}

/** One way beside `xz -9`, by processor time and size, which is what both are about. */
export function comparisonOf(
  name: string,
  label: string,
  ours: Side,
  theirs: Side,
): Comparison {
  const comparison = { name, labels: { ours: label, theirs: xz.label } };
  if (!isMeasured(ours) || !isMeasured(theirs)) {
    return { ...comparison, ours, theirs };
  }
  const ratio = (one: number | undefined, other: number | undefined) =>
    Number(((one ?? 0) / (other ?? 1)).toFixed(3));
  const cpuRatio = ratio(ours.cpuSeconds, theirs.cpuSeconds);
  const sizeRatio = ratio(ours.sizeMB, theirs.sizeMB);
  return {
    ...comparison,
    ours,
    theirs,
    details: { cpuRatio, sizeRatio },
    notes: [
      `${label} takes ${cpuRatio.toFixed(3)} of the CPU seconds of ${xz.label}, and gives ${sizeRatio.toFixed(3)} of its size: ` +
        `${ours.sizeMB?.toFixed(1)} MB beside ${theirs.sizeMB?.toFixed(1)} MB`,
    ],
  };
}
