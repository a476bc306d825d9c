/** Processes that are killed outright while they make a snapshot, each at another point, and what comes after them. */

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pLimit from "p-limit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  type EbsSnapshotInputs,
  implementation,
} from "../../../infra/platforms/ec2/ebsSnapshotProvider.ts";
import type { ApiCall } from "../../servers/awsProxy.ts";
import { anyCredentials, StrictAws } from "../../servers/strictAws.ts";
import { range } from "./disks.ts";
import {
  allSnapshots,
  createElsewhere,
  sampleInputs,
  storeDisk,
} from "./sampleSnapshot.ts";

const sizeBytes = 16 * 1024 ** 2;
const dataBlocks = range(0, 30);

/** When a process is killed: at the n-th call of an action, before it takes effect or after. */
interface Point {
  readonly action: string;
  readonly count: number;
  readonly when: "before" | "after";
  /** All at once, and each in a region of its own. */
  readonly region: string;
}

const points: readonly Point[] = [
  point("DescribeImages", 1, "before", "eu-central-1"),
  point("StartSnapshot", 1, "after", "eu-west-1"),
  point("PutSnapshotBlock", 1, "before", "eu-west-2"),
  point("PutSnapshotBlock", 1, "after", "eu-west-3"),
  point("PutSnapshotBlock", 17, "before", "eu-north-1"),
  point("PutSnapshotBlock", 30, "after", "us-east-1"),
  point("CompleteSnapshot", 1, "before", "us-east-2"),
  point("CompleteSnapshot", 1, "after", "us-west-1"),
  point("ListSnapshotBlocks", 1, "before", "us-west-2"),
  point("GetSnapshotBlock", 20, "after", "ap-south-1"),
];

let aws: StrictAws;
let directory: string;
let store: string;
let rawSha256: string;

beforeAll(async () => {
  for (const [name, value] of Object.entries(anyCredentials)) {
    vi.stubEnv(name, value);
  }
  vi.spyOn(console, "log").mockImplementation(() => {});
  directory = await mkdtemp(join(tmpdir(), "killed-upload-"));
  store = join(directory, "store");
  rawSha256 = await storeDisk(store, sizeBytes, dataBlocks);
  aws = await StrictAws.start();
});

afterAll(async () => {
  await aws?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test("killed at any point, the next attempt completes, doubles nothing and leaves nothing over", async () => {
  // Each killed process takes a core for a second, and leaves a lock that is respected for ten.
  const limit = pLimit(4);
  await limit.map(points, async (point) => {
    const inputs = inputsFor(point.region);
    const theirs = await implementation.create({
      ...inputs,
      stack: "o/p/other",
    });
    await killAt(point, inputs);
    const { outputs } = await implementation.create(inputs);
    expect(outputs.verification?.sha256, named(point)).toBe(rawSha256);
    const left = await allSnapshots(inputs.access);
    expect(
      left.map(({ SnapshotId, State }) => [SnapshotId, State]).sort(),
      named(point),
    ).toEqual(
      [theirs.outputs, outputs]
        .map(({ snapshotId }) => [snapshotId, "completed"])
        .sort(),
    );
  });
  // Also those that EC2 does not show.
  expect(aws.ebs.snapshots.size).toBe(2 * points.length);
}, 240_000);

function point(
  action: string,
  count: number,
  when: "before" | "after",
  region: string,
): Point {
  return { action, count, when, region };
}

function named({ when, action, count }: Point): string {
  return `${when} ${action} ${count}`;
}

function inputsFor(region: string): EbsSnapshotInputs {
  return sampleInputs(aws.access(region), store, rawSha256);
}

/** Runs a process that makes the snapshot, and kills it there. */
async function killAt(point: Point, inputs: EbsSnapshotInputs): Promise<void> {
  const child = createElsewhere(inputs);
  const ended = once(child, "exit");
  let calls = 0;
  const remove = aws.proxy.add({
    matches: ({ region, action }: ApiCall) =>
      region === point.region && action === point.action,
    async act(call, forward) {
      calls++;
      if (calls < point.count) return forward(call);
      if (point.when === "after") await forward(call);
      child.kill("SIGKILL");
      await ended;
      return "cut";
    },
  });
  expect(await ended, named(point)).toEqual([null, "SIGKILL"]);
  remove();
}
