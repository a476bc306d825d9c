/**
 * `ec2`: what it takes to get an image into a snapshot, ours beside a plain loop, and to read it back.
 *
 * Both send the same blocks of a sparse image of 30 GiB to the same server on this machine, as many at a time, in turns.
 * The loop knows the blocks beforehand and does nothing else; ours finds them, sums up and completes. The server is the
 * one of the tests, which checks each block and keeps none: it runs in the benchmark's own process, and takes its part
 * of the cores from both. `sendSeconds` are without the start of Node.
 *
 * Reading back sums up the whole disk, holes included, as does the other side: it reads the file.
 */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { StartSnapshotCommand } from "@aws-sdk/client-ebs";
import { DescribeSnapshotsCommand } from "@aws-sdk/client-ec2";
import type { AwsAccess } from "../infra/aws/access.ts";
import { ebsClient, ec2Client } from "../infra/aws/clients.ts";
import { blockBytes } from "../infra/platforms/ec2/snapshotRequest.ts";
import { anyCredentials, StrictAws } from "../tests/servers/strictAws.ts";
import { type Benchmark, type Context, measureSide } from "./benchmark.ts";
import { type Comparison, isMeasured } from "./results.ts";
import { servedSnapshot } from "./servedSnapshot.ts";
import type { ReadBackRequest, ReadBackResult } from "./sides/readBack.ts";
import type {
  SendBlocksRequest,
  SendBlocksResult,
} from "./sides/sendBlocks.ts";

const sizeGiB = 30;
const sizeBytes = sizeGiB * 1024 ** 3;
/** 1 GiB, in pieces of 8 MiB all over the disk: as much as an image has. */
const dataBlocks = Array.from(
  { length: 2048 },
  (_, index) => Math.floor(index / 16) * 480 + (index % 16),
);

/** Each way of sending is measured so often; the median counts. */
const rounds = 3;

export const ec2: Benchmark = {
  summary: `sending a sparse image of ${sizeGiB} GiB to EBS direct, beside a plain loop, and reading it back`,

  async run(context) {
    Object.assign(process.env, anyCredentials);
    const rawPath = join(context.directory, "disk.raw");
    await makeDisk(rawPath);
    await using aws = await StrictAws.start({ keepsBlocks: false });
    const access = aws.access();
    await wake(access);
    const sent = await compareSending(context, rawPath, access);
    const snapshotId = "snap-0123456789abcdef0";
    aws.proxy.add(await servedSnapshot(snapshotId, rawPath, dataBlocks));
    return [sent, await compareReading(context, rawPath, access, snapshotId)];
  },
};

/** moto loads a service when it is first called, which takes a second: whoever comes first shall not pay for both. */
async function wake(access: AwsAccess): Promise<void> {
  await ebsClient(access).send(new StartSnapshotCommand({ VolumeSize: 1 }));
  const Owned = { OwnerIds: ["self"] };
  await ec2Client(access).send(new DescribeSnapshotsCommand(Owned));
}

async function compareSending(
  context: Context,
  rawPath: string,
  access: AwsAccess,
): Promise<Comparison> {
  const send = (label: string, way: SendBlocksRequest["way"], round: number) =>
    measureSide<SendBlocksResult>(
      context,
      `ec2, ${label}`,
      new URL("sides/sendBlocks.ts", import.meta.url),
      {
        ...{ way, rawPath, sizeBytes, dataBlocks, access },
        name: `round-${round}`,
      } satisfies SendBlocksRequest,
    );
  const ours: Sent[] = [];
  const theirs: Sent[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await send("cloud-images", "ours", round));
    theirs.push(await send("a plain loop", "loop", round));
  }
  return comparisonOf(medianOf(ours), medianOf(theirs));
}

async function compareReading(
  context: Context,
  rawPath: string,
  access: AwsAccess,
  snapshotId: string,
): Promise<Comparison> {
  const read = (label: string, request: ReadBackRequest) =>
    measureSide<ReadBackResult>(
      context,
      `ec2 read-back, ${label}`,
      new URL("sides/readBack.ts", import.meta.url),
      request,
    );
  const labels = { ours: "cloud-images", theirs: "the file alone" };
  const theirs = await read(labels.theirs, { way: "file", rawPath });
  const rawSha256 = theirs.result?.sha256 ?? "";
  const ours = await read(labels.ours, {
    ...{ way: "snapshot", rawPath, rawSha256, sizeBytes, access, snapshotId },
  });
  const notes = [memoryNote(ours.side)];
  return {
    ...{ name: "ec2-read-back", labels },
    ...{ ours: ours.side, theirs: theirs.side, notes },
  };
}

function memoryNote(side: Comparison["ours"]): string {
  const peak = isMeasured(side) ? side.peakMemoryMiB : Number.NaN;
  return `${Math.round(peak)} MiB of memory at the peak (at most 256)`;
}

/** The one in the middle, by the seconds of sending; one that failed, if any did. */
function medianOf(all: readonly Sent[]): Sent {
  const failed = all.find(({ result }) => result === undefined);
  const inOrder = all.toSorted(
    (one, other) =>
      (one.result?.sendSeconds ?? 0) - (other.result?.sendSeconds ?? 0),
  );
  return failed ?? (inOrder[all.length >> 1] as Sent);
}

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
  return {
    ...comparison,
    details: {
      ...{ sentRatio, throughputRatio },
      sendSeconds: [ours.result.sendSeconds, theirs.result.sendSeconds],
    },
    notes: [
      `${sentRatio} bytes are sent for each byte of blocks with data (at most 1.02)`,
      `${throughputRatio} of the throughput of the loop (at least 0.8)`,
      memoryNote(ours.side),
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
  await file.truncate(sizeBytes);
  await file.sync();
}
