/**
 * A snapshot of a volume that a disk was written to.
 *
 * Everything made on the way carries our tags. By them the next attempt finds what one left that was killed: the
 * snapshot, which is begun only when the volume has everything; a volume that is marked as having everything; or one
 * that may have anything, and is written anew.
 */

import { createHash } from "node:crypto";
import { CreateSnapshotCommand, CreateTagsCommand } from "@aws-sdk/client-ec2";
import { PublicationError } from "../../errors.ts";
import { planBlocks } from "./blockPlan.ts";
import { waitFor } from "./patience.ts";
import {
  blockBytes,
  type MadeSnapshot,
  type SnapshotRequest,
  type Tell,
  volumeSizeGiB,
} from "./snapshotRequest.ts";
import {
  deleteSnapshot,
  findSnapshot,
  snapshotsWithTags,
} from "./snapshots.ts";
import { apiTags, carriesTags } from "./tags.ts";
import { TransferProgress } from "./transferProgress.ts";
import { writeDisk } from "./volumeContent.ts";
import {
  attachVolume,
  createVolume,
  detachVolume,
  findVolumes,
  type NewVolume,
  refuseForeign,
  removedOnFailure,
  removeVolume,
  type Volume,
} from "./volumes.ts";
import { volumeTagNames } from "./volumeTags.ts";
import {
  type VolumeSettings,
  type Workplace,
  workplaceOf,
} from "./workplace.ts";

/**
 * Makes the snapshot, or goes on with what is there of it.
 *
 * @throws {UserError} when this is no instance of EC2, or the credentials are of no use.
 * @throws {PublicationError} when AWS or the device refuses. A volume that has everything stays for the next attempt.
 * @throws {StoreError} when the disk cannot be read.
 */
export async function makeVolumeSnapshot(
  settings: VolumeSettings,
  request: SnapshotRequest,
  tell: Tell,
): Promise<MadeSnapshot> {
  const place = await workplaceOf(settings, request.access);
  const job: Job = { ...request, tell, content: contentDigest(request) };
  let sentBytes = 0;
  let snapshotId = await removeOtherSnapshots(place, job);
  if (snapshotId === undefined) {
    const volume = await imageVolume(place, job);
    if (!isWritten(job, volume)) {
      sentBytes = await removedOnFailure(place, volume.volumeId, tell, () =>
        fillVolume(place, job, volume),
      );
    }
    await detachVolume(place, volume.volumeId);
    snapshotId = await beginSnapshot(place, job, volume.volumeId);
  }
  await awaitSnapshot(place, job, snapshotId);
  // One that was begun just before a kill may not have been seen above.
  await removeOtherSnapshots(place, job, snapshotId);
  for (const { volumeId } of await findVolumes(place.ec2, purposeTags(job))) {
    await removeVolume(place, volumeId);
  }
  const sizeGiB = volumeSizeGiB(request.sizeBytes);
  return { snapshotId, volumeSizeGiB: sizeGiB, sentBytes };
}

interface Job extends SnapshotRequest {
  readonly tell: Tell;
  readonly content: string;
}

/** Of what decides what a volume holds and how, besides that it is this request's. */
function contentDigest(request: SnapshotRequest): string {
  const { rawSha256, sizeBytes, encryption, zeroBlocks } = request;
  const parts = [rawSha256, sizeBytes, encryption ?? null, zeroBlocks];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** By these the volume of a request is found again. */
function purposeTags({ identityTags }: Job): Record<string, string> {
  return { ...identityTags, [volumeTagNames.purpose]: "image" };
}

function hasContent(
  { content }: Job,
  tags: Parameters<typeof carriesTags>[0],
): boolean {
  return carriesTags(tags, { [volumeTagNames.content]: content });
}

function isWritten({ content }: Job, { tags }: Volume): boolean {
  return carriesTags(tags, { [volumeTagNames.written]: content });
}

/**
 * Leaves one snapshot of the image at most.
 *
 * @param keptId which one; the oldest that can be used when left out
 */
async function removeOtherSnapshots(
  { ec2 }: Workplace,
  job: Job,
  keptId?: string,
): Promise<string | undefined> {
  const found = await snapshotsWithTags(ec2, job.identityTags);
  const kept =
    keptId ??
    found.find(({ State, Tags }) => State !== "error" && hasContent(job, Tags))
      ?.SnapshotId;
  for (const { SnapshotId = "" } of found) {
    if (SnapshotId === kept) continue;
    job.tell(
      `deleting the snapshot ${SnapshotId}, left from an earlier attempt`,
    );
    await deleteSnapshot(ec2, SnapshotId, 0);
  }
  return kept;
}

/** The one volume of the request: what an earlier attempt left, or a new one. */
async function imageVolume(place: Workplace, job: Job): Promise<NewVolume> {
  const found = await findVolumes(place.ec2, purposeTags(job));
  for (const volume of found) refuseForeign(place, volume);
  const usable = found.filter(
    ({ state, tags }) => state !== "error" && hasContent(job, tags),
  );
  const kept =
    usable.find((volume) => isWritten(job, volume)) ??
    usable.find(
      ({ availabilityZone }) =>
        availabilityZone === place.instance.availabilityZone,
    );
  for (const { volumeId } of found) {
    if (volumeId === kept?.volumeId) continue;
    job.tell(`deleting the volume ${volumeId}, left from an earlier attempt`);
    await removeVolume(place, volumeId);
  }
  if (kept !== undefined) return { ...kept, isNew: false };
  return createVolume(place, {
    token: `${job.token} ${job.content}`,
    tags: {
      ...job.tags,
      ...purposeTags(job),
      [volumeTagNames.content]: job.content,
    },
    sizeGiB: volumeSizeGiB(job.sizeBytes),
    encryption: job.encryption,
  });
}

/** Writes the disk to a volume, and marks it. */
async function fillVolume(
  place: Workplace,
  job: Job,
  { volumeId, sizeGiB, isNew }: NewVolume,
): Promise<number> {
  const plan = await planBlocks(job.rawPath, job.sizeBytes, job.zeroBlocks);
  const path = await attachVolume(place, volumeId);
  job.tell(`writing to the volume ${volumeId}, ${path}`);
  const progress = new TransferProgress(
    "written",
    plan.length * blockBytes,
    job.tell,
  );
  const target = { path, sizeBytes: sizeGiB * 1024 ** 3, isBlank: isNew };
  const sentBytes = await writeDisk(job, target, plan, (bytes) => {
    progress.add(bytes);
    job.moved?.();
  });
  const command = new CreateTagsCommand({
    Resources: [volumeId],
    Tags: [{ Key: volumeTagNames.written, Value: job.content }],
  });
  await place.ec2.call(`mark the volume ${volumeId}`, (client) =>
    client.send(command),
  );
  return sentBytes;
}

/** EC2 knows no tokens for snapshots: before a further attempt it is looked whether the one before got through. */
async function beginSnapshot(
  { ec2 }: Workplace,
  job: Job,
  volumeId: string,
): Promise<string> {
  const tags = { ...job.tags, [volumeTagNames.content]: job.content };
  const command = new CreateSnapshotCommand({
    VolumeId: volumeId,
    Description: job.description,
    TagSpecifications: [{ ResourceType: "snapshot", Tags: apiTags(tags) }],
  });
  let attempts = 0;
  const { SnapshotId } = await ec2.call(
    `make a snapshot of the volume ${volumeId}`,
    async (client) => {
      const [begun] =
        attempts++ === 0 ? [] : await snapshotsWithTags(ec2, job.identityTags);
      return begun ?? client.send(command);
    },
  );
  return SnapshotId ?? "";
}

/** Waits until EC2 has copied the volume. */
async function awaitSnapshot(
  { ec2, patience }: Workplace,
  { tell }: Job,
  snapshotId: string,
): Promise<void> {
  tell(`waiting for the snapshot ${snapshotId}`);
  const seen = await waitFor(
    patience.snapshot,
    () => findSnapshot(ec2, snapshotId),
    (snapshot) =>
      snapshot?.State === "completed" || snapshot?.State === "error",
  );
  if (seen?.State === "completed") return;
  if (seen?.State === "error") {
    await deleteSnapshot(ec2, snapshotId, 0);
    throw new PublicationError(
      `The snapshot ${snapshotId} came to nothing (${seen.StateMessage ?? "AWS does not say why"}), and was deleted. Run again: another one is made of the same volume.`,
    );
  }
  throw new PublicationError(
    `The snapshot ${snapshotId} is still ${seen?.State ?? "not to be seen"} after ${patience.snapshot.seconds} s. Run again to go on waiting, or delete it in the console before, to have another one made.`,
  );
}
