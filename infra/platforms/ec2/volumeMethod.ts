/**
 * Snapshots by way of a volume, for places without EBS direct: on an instance of EC2 a volume is made, attached,
 * written to and detached, and a snapshot is made of it. Reading back goes the other way.
 */

import type { AwsAccess } from "../../aws/access.ts";
import type { SnapshotMethod } from "./snapshotRequest.ts";
import { ec2Caller } from "./snapshots.ts";
import { readVolumeBack } from "./volumeReadBack.ts";
import { makeVolumeSnapshot } from "./volumeSnapshot.ts";
import { findVolumes, removeVolume } from "./volumes.ts";
import { volumeTagNames } from "./volumeTags.ts";
import {
  usualVolumeSettings,
  type VolumeSettings,
  workplaceOf,
} from "./workplace.ts";

/** Snapshots to and from volumes of the instance that this runs on. */
export function volumeMethod(
  settings: VolumeSettings = usualVolumeSettings,
): SnapshotMethod {
  return {
    make: (request, tell) => makeVolumeSnapshot(settings, request, tell),
    readBack: (request, tell) => readVolumeBack(settings, request, tell),
    removeRemains: (access, identityTags) =>
      removeVolumes(settings, access, identityTags),
  };
}

/** An instance is needed for it only when there is something. */
async function removeVolumes(
  settings: VolumeSettings,
  access: AwsAccess,
  identityTags: Readonly<Record<string, string>>,
): Promise<void> {
  const ec2 = ec2Caller(access, settings.patience.call);
  const left = (await findVolumes(ec2, identityTags)).filter(({ tags }) =>
    tags.some(({ Key }) => Key === volumeTagNames.purpose),
  );
  if (left.length === 0) return;
  const place = await workplaceOf(settings, access);
  for (const { volumeId } of left) await removeVolume(place, volumeId);
}
