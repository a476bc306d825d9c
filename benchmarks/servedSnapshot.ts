/** A snapshot with the data of a file, as EBS direct shows it: nothing of it is kept in memory. */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { blockBytes } from "../infra/platforms/ec2/snapshotRequest.ts";
import {
  type ApiCall,
  isCall,
  jsonAnswer,
  type ProxyRule,
} from "../tests/servers/awsProxy.ts";

const pageBlocks = 1000;

/**
 * Answers who lists and gets the blocks of that snapshot.
 *
 * @param indices of its blocks, in order
 */
export async function servedSnapshot(
  snapshotId: string,
  path: string,
  indices: readonly number[],
): Promise<ProxyRule> {
  const page = ({ parameters }: ApiCall) => {
    const from = Number(parameters.get("pageToken") ?? 0);
    const end = from + pageBlocks;
    return jsonAnswer(200, {
      Blocks: indices.slice(from, end).map((BlockIndex) => ({
        BlockIndex,
        BlockToken: `token-of-block-${BlockIndex}`,
      })),
      BlockSize: blockBytes,
      ...(end < indices.length ? { NextToken: String(end) } : {}),
    });
  };
  const block = async (call: ApiCall) => {
    const [, index] = /\/blocks\/([0-9]+)/.exec(call.path) ?? [];
    const body = Buffer.alloc(blockBytes);
    await using file = await open(path, "r");
    await file.read(body, 0, blockBytes, Number(index) * blockBytes);
    return {
      status: 200,
      headers: {
        "x-amz-data-length": String(blockBytes),
        "x-amz-checksum": createHash("sha256").update(body).digest("base64"),
        "x-amz-checksum-algorithm": "SHA256",
      },
      body,
    };
  };
  const isListing = isCall("ebs", "ListSnapshotBlocks");
  const isOfBlocks = isCall("ebs", "ListSnapshotBlocks", "GetSnapshotBlock");
  return {
    matches: (call) => isOfBlocks(call) && call.path.includes(snapshotId),
    act: (call) => (isListing(call) ? page(call) : block(call)),
  };
}
