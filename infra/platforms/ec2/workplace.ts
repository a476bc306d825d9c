/** Where volumes are attached and worked on: the instance of EC2 that runs this. */

import type { AwsAccess } from "../../aws/access.ts";
import { type Patience, usualPatience } from "../../aws/patientCaller.ts";
import { UserError } from "../../errors.ts";
import { type DeviceRoots, machineRoots } from "./attachedDevice.ts";
import { type InstanceIdentity, instanceIdentity } from "./instanceIdentity.ts";
import { type Ec2Caller, ec2Caller } from "./snapshots.ts";

/** What the machine is like, and how patient it is. */
export interface VolumeSettings {
  readonly roots: DeviceRoots;
  /** Address of the instance's metadata service; the usual one when left out. */
  readonly metadata?: string;
  readonly patience: VolumePatience;
}

/** How long is waited. */
export interface VolumePatience {
  /** For one call. */
  readonly call: Patience;
  /** For a volume's way from one state to the next: seconds, and minutes on a bad day. */
  readonly state: Patience;
  /** Until the system shows the device of an attached volume. */
  readonly device: Patience;
  /** For a snapshot, from its beginning until EC2 calls it completed: it is copied to S3 meanwhile. */
  readonly snapshot: Patience;
}

/** An instance of EC2 as it is. */
export const usualVolumeSettings: VolumeSettings = {
  roots: machineRoots,
  patience: {
    call: usualPatience,
    state: { seconds: 600, firstPauseSeconds: 1, longestPauseSeconds: 15 },
    device: { seconds: 120, firstPauseSeconds: 0.5, longestPauseSeconds: 15 },
    snapshot: { seconds: 7200, firstPauseSeconds: 5, longestPauseSeconds: 15 },
  },
};

/** An instance, and what is needed to work on its volumes. */
export interface Workplace extends Omit<VolumeSettings, "metadata"> {
  readonly ec2: Ec2Caller;
  readonly instance: InstanceIdentity;
}

/**
 * The workplace that this machine is.
 * @throws {UserError} when it is no instance of EC2, or one of another region.
 */
export async function workplaceOf(
  { metadata, roots, patience }: VolumeSettings,
  access: AwsAccess,
): Promise<Workplace> {
  const instance = await instanceIdentity(metadata);
  if (instance.region !== access.region) {
    throw new UserError(
      `This instance, ${instance.instanceId}, is in ${instance.region}, and no volume of ${access.region} can be attached to it. Publish to ${access.region} from an instance there, or set \`method: ebs-direct\` for the target in cloud-images:ec2.`,
    );
  }
  return { ec2: ec2Caller(access, patience.call), instance, roots, patience };
}
