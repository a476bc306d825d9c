/** Reads what a snapshot holds, by a volume made from it, and compares it. */

import { randomInt } from "node:crypto";
import { PublicationError, WrongCopyError } from "../../errors.ts";
import type { Verification } from "../../store/records.ts";
import { planBlocks } from "./blockPlan.ts";
import {
  blockBytes,
  blockCount,
  type ReadBackRequest,
  type Tell,
} from "./snapshotRequest.ts";
import { findSnapshot } from "./snapshots.ts";
import { TransferProgress } from "./transferProgress.ts";
import { compareDisk } from "./volumeContent.ts";
import {
  attachVolume,
  createVolume,
  findVolumes,
  refuseForeign,
  removedOnFailure,
  removeVolume,
} from "./volumes.ts";
import { volumeTagNames } from "./volumeTags.ts";
import {
  type VolumeSettings,
  type Workplace,
  workplaceOf,
} from "./workplace.ts";

/**
 * Compares a snapshot with the disk that it was made from. Nothing stays of the volume that this takes, and it is never
 * one that an earlier attempt left: somebody may have written to that.
 *
 * @throws {WrongCopyError} naming the first block that differs.
 * @throws {UserError} when this is no instance of EC2, or the credentials are of no use.
 * @throws {PublicationError} when it cannot be read.
 */
export async function readVolumeBack(
  settings: VolumeSettings,
  request: ReadBackRequest,
  tell: Tell,
): Promise<Verification> {
  const place = await workplaceOf(settings, request.access);
  const volumeId = await volumeFrom(place, request.snapshotId, tell);
  const verification = await removedOnFailure(place, volumeId, tell, () =>
    compareVolume(place, request, volumeId, tell),
  );
  await removeVolume(place, volumeId);
  return verification;
}

async function volumeFrom(
  place: Workplace,
  snapshotId: string,
  tell: Tell,
): Promise<string> {
  const snapshot = await findSnapshot(place.ec2, snapshotId);
  if (snapshot?.State !== "completed") {
    throw new PublicationError(
      `The snapshot ${snapshotId} in ${place.instance.region} is ${snapshot?.State ?? "gone"}, and cannot be read. Run scripts/pulumi up --refresh to have it made again.`,
    );
  }
  const purpose = {
    [volumeTagNames.purpose]: "read-back",
    [volumeTagNames.snapshot]: snapshotId,
  };
  const left = await findVolumes(place.ec2, purpose);
  for (const volume of left) refuseForeign(place, volume);
  for (const volume of left) {
    tell(
      `deleting the volume ${volume.volumeId}, left from an earlier attempt`,
    );
    await removeVolume(place, volume.volumeId);
  }
  const tags = (snapshot.Tags ?? [])
    // Amazon keeps these to itself.
    .filter(({ Key = "" }) => !Key.startsWith("aws:"))
    .map(({ Key = "", Value = "" }) => [Key, Value]);
  const { volumeId } = await createVolume(place, {
    token: `read-back ${snapshotId}`,
    tags: { ...Object.fromEntries(tags), ...purpose },
    sizeGiB: snapshot.VolumeSize ?? 0,
    snapshotId,
  });
  return volumeId;
}

async function compareVolume(
  place: Workplace,
  request: ReadBackRequest,
  volumeId: string,
  tell: Tell,
): Promise<Verification> {
  const { access, snapshotId, label, rawPath, rawSha256 } = request;
  const allBlocks = blockCount(request.sizeBytes);
  const indices = await chosenBlocks(request);
  const path = await attachVolume(place, volumeId);
  const progress = new TransferProgress(
    "read back",
    indices.length * blockBytes,
    tell,
  );
  const { differing, sha256 } = await compareDisk(
    request,
    path,
    indices,
    (bytes) => progress.add(bytes),
  );
  if (differing !== undefined) {
    throw new WrongCopyError(
      `Block ${differing} of the snapshot ${snapshotId} in ${access.region} is not that of ${label} (bytes ${differing * blockBytes} and following of the image ${rawSha256}). Run scripts/pulumi up --refresh to have it made again.`,
    );
  }
  const verifiedAt = new Date().toISOString();
  const readBlocks = indices.length;
  if (request.extent !== "all") return { readBlocks, allBlocks, verifiedAt };
  if (sha256 !== rawSha256) {
    throw new WrongCopyError(
      `The file ${rawPath} is not the image ${rawSha256}, but ${sha256}, as is the snapshot ${snapshotId}. Run scripts/pulumi up --refresh to have both made again.`,
    );
  }
  return { sha256, readBlocks, allBlocks, verifiedAt };
}

/** The blocks to read, in order: all, or some by chance of those that are not zeros. */
async function chosenBlocks({
  extent,
  rawPath,
  sizeBytes,
}: ReadBackRequest): Promise<readonly number[]> {
  if (extent === "all") return [...Array(blockCount(sizeBytes)).keys()];
  const left = [...(await planBlocks(rawPath, sizeBytes, "skip"))];
  const chosen: number[] = [];
  while (chosen.length < extent.blocks && left.length > 0) {
    chosen.push(...left.splice(randomInt(left.length), 1));
  }
  return chosen.toSorted((one, other) => one - other);
}
