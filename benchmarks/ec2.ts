/**
 * `ec2`: what it takes to get an image into a snapshot, ours beside a plain loop.
 *
 * Both send the same blocks of a sparse image of 30 GiB to the same server on this machine, as many at a time. The loop
 * knows the blocks beforehand, opens no snapshot of its own and does nothing else; ours finds them, sums up and
 * completes. The server is the one of the tests, which checks each block and keeps none: it runs in the benchmark's own
 * process, and takes its part of the cores from both. `sendSeconds` are without the start of Node.
 */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { blockBytes } from "../infra/platforms/ec2/snapshotRequest.ts";
import { StrictAws } from "../tests/servers/strictAws.ts";
import { type Benchmark, measureSide } from "./benchmark.ts";
import { type Comparison, isMeasured } from "./results.ts";
import type {
  SendBlocksRequest,
  SendBlocksResult,
} from "./sides/sendBlocks.ts";

const sizeGiB = 30;
/** 1 GiB, in pieces of 8 MiB all over the disk: as much as an image has. */
const dataBlocks = Array.from(
  { length: 2048 },
  (_, index) => Math.floor(index / 16) * 480 + (index % 16),
);

export const ec2: Benchmark = {
  summary: `sending a sparse image of ${sizeGiB} GiB to EBS direct, beside a plain loop`,

  async run(context) {
    const rawPath = join(context.directory, "disk.raw");
    await makeDisk(rawPath);
    await using aws = await StrictAws.start({ keepsBlocks: false });
    const send = (label: string, way: SendBlocksRequest["way"]) =>
      measureSide<SendBlocksResult>(
        context,
        `ec2, ${label}`,
        new URL("sides/sendBlocks.ts", import.meta.url),
        {
          ...{ way, rawPath, sizeBytes: sizeGiB * 1024 ** 3, dataBlocks },
          access: aws.access(),
        } satisfies SendBlocksRequest,
      );
    const ours = await send("cloud-images", "ours");
    const theirs = await send("a plain loop", "loop");
    return [comparisonOf(ours, theirs)];
  },
};

interface Sent {
  readonly side: Comparison["ours"];
  readonly result?: SendBlocksResult;
}

/** Both ways, with what is asked of ours. */
export function comparisonOf(ours: Sent, theirs: Sent): Comparison {
  const comparison = {
    name: "ec2",
    labels: { ours: "cloud-images", theirs: "a plain loop" },
    ...{ ours: ours.side, theirs: theirs.side },
  };
  if (ours.result === undefined || theirs.result === undefined) {
    return comparison;
  }
  const rounded = (value: number) => Number(value.toFixed(3));
  const sentRatio = rounded(
    ours.result.sentBytes / (dataBlocks.length * blockBytes),
  );
  const throughputRatio = rounded(
    theirs.result.sendSeconds / ours.result.sendSeconds,
  );
  const peak = isMeasured(ours.side) ? ours.side.peakMemoryMiB : Number.NaN;
  return {
    ...comparison,
    details: {
      ...{ sentRatio, throughputRatio },
      sendSeconds: [ours.result.sendSeconds, theirs.result.sendSeconds],
    },
    notes: [
      `${sentRatio} bytes are sent for each byte of blocks with data (at most 1.02)`,
      `${throughputRatio} of the throughput of the loop (at least 0.8)`,
      `${Math.round(peak)} MiB of memory at the peak (at most 256)`,
    ],
  };
}

/** Every block is another one; what is in it does not matter. */
async function makeDisk(path: string): Promise<void> {
  await using file = await open(path, "w");
  const seed = Buffer.alloc(blockBytes, createHash("sha256").digest());
  for (const index of dataBlocks) {
    seed.writeUInt32LE(index, 0);
    await file.write(seed, 0, blockBytes, index * blockBytes);
  }
  await file.truncate(sizeGiB * 1024 ** 3);
  await file.sync();
}
