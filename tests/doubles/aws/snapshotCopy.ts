/** What CopyImage does with an AMI's snapshot, and moto leaves out: a copy with all blocks in the other region. */

import { createHash } from "node:crypto";
import type { AwsCloud } from "./cloud.ts";

/** From where to where. */
export interface SnapshotCopy {
  readonly sourceRegion: string;
  readonly region: string;
  /** The AMI that is copied. */
  readonly sourceId: string;
  /** The AMI that is made. */
  readonly id: string;
  readonly snapshot: string;
  readonly isEncrypted: boolean;
  readonly kmsKey: string | undefined;
}

/** Copies a snapshot, and returns the id of the new one. */
export async function copySnapshot(
  cloud: AwsCloud,
  copy: SnapshotCopy,
): Promise<string> {
  const [source, target, sourceEc2, ec2] = await Promise.all([
    cloud.ebs(copy.sourceRegion),
    cloud.ebs(copy.region),
    cloud.ec2(copy.sourceRegion),
    cloud.ec2(copy.region),
  ]);
  const {
    CompleteSnapshotCommand,
    GetSnapshotBlockCommand,
    PutSnapshotBlockCommand,
    StartSnapshotCommand,
    paginateListSnapshotBlocks,
  } = await import("@aws-sdk/client-ebs");
  const { CopySnapshotCommand, DescribeSnapshotsCommand } = await import(
    "@aws-sdk/client-ec2"
  );
  const description = `Copied for DestinationAmi ${copy.id} from SourceAmi ${copy.sourceId} for SourceSnapshot ${copy.snapshot}.`;
  const blocks = [];
  try {
    const pages = paginateListSnapshotBlocks(
      { client: source },
      { SnapshotId: copy.snapshot },
    );
    for await (const { Blocks = [] } of pages) blocks.push(...Blocks);
  } catch {
    // One that was not made by EBS direct: moto knows no blocks of it.
    const { SnapshotId } = await ec2.send(
      new CopySnapshotCommand({
        SourceRegion: copy.sourceRegion,
        SourceSnapshotId: copy.snapshot,
        Description: description,
      }),
    );
    return SnapshotId as string;
  }
  const { Snapshots } = await sourceEc2.send(
    new DescribeSnapshotsCommand({ SnapshotIds: [copy.snapshot] }),
  );
  const { SnapshotId } = await target.send(
    new StartSnapshotCommand({
      VolumeSize: Snapshots?.[0]?.VolumeSize,
      Description: description,
      ...(copy.isEncrypted ? { Encrypted: true } : {}),
      ...(copy.kmsKey === undefined ? {} : { KmsKeyArn: copy.kmsKey }),
    }),
  );
  for (const { BlockIndex, BlockToken } of blocks) {
    const { BlockData } = await source.send(
      new GetSnapshotBlockCommand({
        SnapshotId: copy.snapshot,
        BlockIndex,
        BlockToken,
      }),
    );
    const data = (await BlockData?.transformToByteArray()) ?? new Uint8Array();
    await target.send(
      new PutSnapshotBlockCommand({
        SnapshotId,
        BlockIndex,
        BlockData: data,
        DataLength: data.length,
        Checksum: createHash("sha256").update(data).digest("base64"),
        ChecksumAlgorithm: "SHA256",
      }),
    );
  }
  await target.send(
    new CompleteSnapshotCommand({
      SnapshotId,
      ChangedBlocksCount: blocks.length,
    }),
  );
  return SnapshotId as string;
}
