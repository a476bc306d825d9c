/** What stands for Amazon in tests refuses what Amazon refuses. */

import { createHash } from "node:crypto";
import {
  CompleteSnapshotCommand,
  EBSClient,
  GetSnapshotBlockCommand,
  ListSnapshotBlocksCommand,
  PutSnapshotBlockCommand,
  type PutSnapshotBlockCommandInput,
  StartSnapshotCommand,
} from "@aws-sdk/client-ebs";
import { DescribeSnapshotsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StrictAws } from "./strictAws.ts";

const blockBytes = 512 * 1024;
const block = Buffer.alloc(blockBytes, 7);
const digest = createHash("sha256").update(block).digest();

let aws: StrictAws;
let ebs: EBSClient;
let ec2: EC2Client;
let SnapshotId: string;

beforeAll(async () => {
  aws = await StrictAws.start();
  const settings = {
    region: aws.access().region,
    endpoint: aws.proxy.url,
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
  };
  ebs = new EBSClient(settings);
  ec2 = new EC2Client(settings);
  SnapshotId = await start("first");
});

afterAll(() => aws?.[Symbol.asyncDispose]());

test("a client token stands for one snapshot, and for its parameters", async () => {
  expect(await start("first")).toBe(SnapshotId);
  expect(await start("second")).not.toBe(SnapshotId);
  await expect(
    ebs.send(new StartSnapshotCommand({ VolumeSize: 2, ClientToken: "first" })),
  ).rejects.toMatchObject({ name: "ConflictException" });
});

test.each([
  ["a wrong checksum", { Checksum: Buffer.alloc(32).toString("base64") }],
  ["a short block", { BlockData: block.subarray(1) }],
  ["another length", { DataLength: 512 }],
  ["an index behind the end", { BlockIndex: 2048 }],
] as const)("%s is refused", async (_name, change) => {
  await expect(put(0, change)).rejects.toMatchObject({
    name: "ValidationException",
  });
});

test("a snapshot is completed with what was written, is pending until then, and closed afterwards", async () => {
  await put(0);
  await put(5);
  await expect(complete(1)).rejects.toMatchObject({
    message: "ChangedBlocksCount is not what was written.",
  });
  await expect(complete(2, digest)).rejects.toMatchObject({
    message: "The checksum is not that of the blocks.",
  });
  const list = new ListSnapshotBlocksCommand({ SnapshotId });
  await expect(ebs.send(list)).rejects.toMatchObject({
    message: `${SnapshotId} is not completed.`,
  });
  expect(await state()).toBe("pending");
  await complete(2);
  expect(await state()).toBe("completed");
  await expect(put(6)).rejects.toMatchObject({
    message: `${SnapshotId} is not pending.`,
  });
  const { Blocks = [] } = await ebs.send(list);
  expect(Blocks.map(({ BlockIndex }) => BlockIndex)).toEqual([0, 5]);
  const input = { SnapshotId, BlockIndex: 5 };
  const BlockToken = Blocks[1]?.BlockToken;
  const read = await ebs.send(
    new GetSnapshotBlockCommand({ ...input, BlockToken }),
  );
  expect(read.Checksum).toBe(digest.toString("base64"));
  const wrong = { ...input, BlockToken: Blocks[0]?.BlockToken };
  await expect(
    ebs.send(new GetSnapshotBlockCommand(wrong)),
  ).rejects.toMatchObject({ Reason: "INVALID_BLOCK_TOKEN" });
});

async function start(ClientToken: string): Promise<string> {
  const command = new StartSnapshotCommand({ VolumeSize: 1, ClientToken });
  return (await ebs.send(command)).SnapshotId ?? "";
}

function put(
  BlockIndex: number,
  change: Partial<PutSnapshotBlockCommandInput> = {},
) {
  return ebs.send(
    new PutSnapshotBlockCommand({
      ...{ SnapshotId, BlockIndex, BlockData: block, DataLength: blockBytes },
      Checksum: digest.toString("base64"),
      ChecksumAlgorithm: "SHA256",
      ...change,
    }),
  );
}

function complete(
  ChangedBlocksCount: number,
  digests = Buffer.concat([digest, digest]),
) {
  return ebs.send(
    new CompleteSnapshotCommand({
      ...{ SnapshotId, ChangedBlocksCount },
      Checksum: createHash("sha256").update(digests).digest("base64"),
      ChecksumAlgorithm: "SHA256",
      ChecksumAggregationMethod: "LINEAR",
    }),
  );
}

async function state(): Promise<string | undefined> {
  const { Snapshots = [] } = await ec2.send(
    new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }),
  );
  return Snapshots[0]?.State;
}
