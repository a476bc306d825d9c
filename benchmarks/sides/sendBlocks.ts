/** Blocks of a disk on their way into a snapshot: by the project, or by the shortest loop that does it. */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import {
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from "@aws-sdk/client-ebs";
import type { AwsAccess } from "../../infra/aws/access.ts";
import { ebsClient } from "../../infra/aws/clients.ts";
import {
  ebsDirect,
  usualSettings,
} from "../../infra/platforms/ec2/ebsDirect.ts";
import { blockBytes } from "../../infra/platforms/ec2/snapshotRequest.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import { anyCredentials } from "../../tests/servers/strictAws.ts";
import { answer } from "./answer.ts";

export interface SendBlocksRequest {
  readonly way: "ours" | "loop";
  /** Ours goes on with a snapshot that it knows: a name of its own for each run. */
  readonly name: string;
  readonly rawPath: string;
  readonly sizeBytes: number;
  /** For the loop; ours finds them. */
  readonly dataBlocks: readonly number[];
  readonly access: AwsAccess;
}

export interface SendBlocksResult {
  readonly sentBytes: number;
  readonly sendSeconds: number;
}

Object.assign(process.env, anyCredentials);

await answer(async (request: SendBlocksRequest): Promise<SendBlocksResult> => {
  const started = performance.now();
  const sentBytes =
    request.way === "ours" ? await sendOurs(request) : await loop(request);
  return { sentBytes, sendSeconds: (performance.now() - started) / 1000 };
});

async function sendOurs(request: SendBlocksRequest): Promise<number> {
  const { name, rawPath, sizeBytes, access } = request;
  const tags = { "cloud-images:stack": name };
  const { sentBytes } = await ebsDirect().make(
    {
      ...{ rawPath, sizeBytes, access, tags, identityTags: tags },
      rawSha256: "0".repeat(64) as Sha256,
      label: "benchmark",
      token: name,
      description: "benchmark",
      zeroBlocks: "send",
    },
    () => {},
  );
  return sentBytes;
}

async function loop({
  rawPath,
  sizeBytes,
  dataBlocks,
  access,
}: SendBlocksRequest): Promise<number> {
  const client = ebsClient(access);
  const { SnapshotId } = await client.send(
    new StartSnapshotCommand({ VolumeSize: sizeBytes / 1024 ** 3 }),
  );
  await using file = await open(rawPath, "r");
  let next = 0;
  const work = async () => {
    const BlockData = Buffer.alloc(blockBytes);
    while (next < dataBlocks.length) {
      const BlockIndex = dataBlocks[next++] as number;
      await file.read(BlockData, 0, blockBytes, BlockIndex * blockBytes);
      await client.send(
        new PutSnapshotBlockCommand({
          ...{ SnapshotId, BlockIndex, BlockData, DataLength: blockBytes },
          Checksum: createHash("sha256").update(BlockData).digest("base64"),
          ChecksumAlgorithm: "SHA256",
        }),
      );
    }
  };
  await Promise.all(Array.from({ length: usualSettings.concurrency }, work));
  return dataBlocks.length * blockBytes;
}
