/**
 * Volumes on their way: made, attached to the instance that runs this, detached, deleted. Each step finds out what an
 * interrupted one left, so that all of them can be done again.
 */

import { createHash } from "node:crypto";
import {
  type Volume as ApiVolume,
  AttachVolumeCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeInstancesCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
} from "@aws-sdk/client-ec2";
import { awsErrorCode } from "../../aws/failures.ts";
import type { CallOptions } from "../../aws/patientCaller.ts";
import { PublicationError, UserError } from "../../errors.ts";
import { findDevice, freeDeviceNames } from "./attachedDevice.ts";
import { waitFor } from "./patience.ts";
import type { SnapshotEncryption, Tell } from "./snapshotRequest.ts";
import type { Ec2Caller } from "./snapshots.ts";
import { type ApiTag, apiTags, carriesTags, tagFilters } from "./tags.ts";
import { DeviceInUseError } from "./volumeContent.ts";
import type { Workplace } from "./workplace.ts";

/** A volume that shall be. */
export interface VolumeRequest {
  /** The same for the same volume; another one of it comes only after the one before was deleted. */
  readonly token: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly sizeGiB: number;
  /** What it is made from; it is blank otherwise. */
  readonly snapshotId?: string;
  readonly encryption?: SnapshotEncryption | undefined;
}

/** A volume that is. */
export interface Volume {
  readonly volumeId: string;
  readonly state: string;
  readonly sizeGiB: number;
  readonly availabilityZone: string;
  readonly tags: readonly ApiTag[];
  readonly attachment?: Attachment | undefined;
}

/** A volume that was asked for just now. */
export interface NewVolume extends Volume {
  /** Not where an earlier attempt had asked for the very same, and may have worked on it. */
  readonly isNew: boolean;
}

/** Where a volume is attached, or about to be, or no longer. */
interface Attachment {
  readonly instanceId: string;
  readonly deviceName: string;
  readonly state: string;
}

/** As fast as a disk image needs, and of all types that are the cheapest one. */
const volumeType = "gp3";

/** Volumes of one request that were made and deleted while EC2 remembers their tokens: a day or more. */
const maxTokens = 50;

/** All volumes that carry these tags and are not about to go. */
export async function findVolumes(
  ec2: Ec2Caller,
  tags: Readonly<Record<string, string>>,
): Promise<Volume[]> {
  const found: Volume[] = [];
  let NextToken: string | undefined;
  do {
    const page = await ec2.call("list the volumes", (client) =>
      client.send(
        new DescribeVolumesCommand({ Filters: tagFilters(tags), NextToken }),
      ),
    );
    found.push(...(page.Volumes ?? []).map(volumeOf));
    ({ NextToken } = page);
  } while (NextToken !== undefined);
  return found.filter(
    (volume) => isThere(volume) && carriesTags(volume.tags, tags),
  );
}

/**
 * Makes a volume in the instance's zone. An attempt whose answer was lost gives the same volume.
 * @throws {PublicationError} when somebody else made it meanwhile, or it does not become available.
 */
export async function createVolume(
  place: Workplace,
  request: VolumeRequest,
): Promise<NewVolume> {
  const { volumeId, isNew } = await requestVolume(place, request);
  const made = await waitFor(
    place.patience.state,
    () => look(place, volumeId),
    (volume) => volume !== undefined && volume.state !== "creating",
  );
  if (made?.state === "available" || made?.state === "in-use") {
    return { ...made, isNew };
  }
  throw new PublicationError(
    `The volume ${volumeId}, just made, is ${made?.state ?? "gone"}. ` +
      "If it is encrypted, the credentials and EBS must be allowed to use the key of KMS. Run again: what is left of it is found then.",
  );
}

async function requestVolume(
  { ec2, instance }: Workplace,
  { token, tags, sizeGiB, snapshotId, encryption }: VolumeRequest,
): Promise<{ readonly volumeId: string; readonly isNew: boolean }> {
  for (let number = 1; number <= maxTokens; number++) {
    const command = new CreateVolumeCommand({
      AvailabilityZone: instance.availabilityZone,
      VolumeType: volumeType,
      ClientToken: clientToken(token, number),
      Size: sizeGiB,
      SnapshotId: snapshotId,
      ...(encryption === undefined
        ? {}
        : { Encrypted: true, KmsKeyId: encryption.kmsKey }),
      TagSpecifications: [{ ResourceType: "volume", Tags: apiTags(tags) }],
    });
    const made = await unless("IdempotentParameterMismatch", (options) =>
      ec2.call("make a volume", (client) => client.send(command), options),
    );
    // The answer to a token that is known says how its volume is by now.
    if (made !== undefined) {
      return {
        volumeId: made.VolumeId ?? "",
        isNew: made.State === "creating",
      };
    }
    // The token's volume was deleted, unless somebody makes it now.
    const [other] = await findVolumes(ec2, tags);
    if (other !== undefined) {
      throw new PublicationError(
        `The volume ${other.volumeId} was made by somebody else meanwhile, in the zone ${other.availabilityZone}. Run again when the other run is done.`,
      );
    }
  }
  throw new PublicationError(
    `EC2 remembers ${maxTokens} volumes that were made for the same snapshot and deleted, which should not happen. Look at what becomes of them in CloudTrail, and run again tomorrow.`,
  );
}

/** EC2 takes 64 characters. */
function clientToken(token: string, number: number): string {
  return createHash("sha256").update(`${token} ${number}`).digest("hex");
}

/**
 * Attaches a volume to this instance, if it is not, and waits for its device.
 *
 * @returns the path of the device
 * @throws {PublicationError} when it is attached elsewhere, or the device does not appear.
 * @throws {UserError} when the credentials do not know the instance.
 */
export async function attachVolume(
  place: Workplace,
  volumeId: string,
): Promise<string> {
  const { patience, instance, roots } = place;
  if ((await settled(place, volumeId)).attachment === undefined) {
    await requestAttachment(place, volumeId);
  }
  const { attachment, state, sizeGiB } = await waitFor(
    patience.state,
    () => lookOwn(place, volumeId),
    ({ attachment }) => attachment?.state === "attached",
  );
  if (attachment?.state !== "attached") {
    throw new PublicationError(
      `The volume ${volumeId} is still ${attachment?.state ?? state} after ${patience.state.seconds} s of attaching it to ${instance.instanceId}. Run again; if it stays so, look at the instance in the console.`,
    );
  }
  const { deviceName } = attachment;
  const path = await waitFor(
    patience.device,
    () => findDevice(roots, { volumeId, deviceName, sizeGiB }),
    (found) => found !== undefined,
  );
  if (path === undefined) {
    throw new PublicationError(
      `The volume ${volumeId} is attached to ${instance.instanceId} as ${deviceName}, and its device did not appear in ${patience.device.seconds} s. ` +
        "In a container, the host's /dev and /sys must be there, too; otherwise see what the kernel says (dmesg), and run again.",
    );
  }
  return path;
}

/** The volume once it is on its way neither to this instance nor from it. */
async function settled(place: Workplace, volumeId: string): Promise<Volume> {
  const volume = await waitFor(
    place.patience.state,
    () => lookOwn(place, volumeId),
    isSettled,
  );
  if (isSettled(volume)) return volume;
  throw stuck(place, volume);
}

function isSettled({ state, attachment }: Volume): boolean {
  return attachment === undefined
    ? state === "available"
    : attachment.state === "attached";
}

function stuck(
  { instance, patience }: Workplace,
  { volumeId, state, attachment }: Volume,
): PublicationError {
  return new PublicationError(
    `The volume ${volumeId} stays ${attachment?.state ?? state} on ${instance.instanceId}, and ${patience.state.seconds} s were waited. If something on the instance uses it, end that; then run again.`,
  );
}

async function requestAttachment(
  place: Workplace,
  volumeId: string,
): Promise<void> {
  const { ec2, instance, roots } = place;
  const { instanceId } = instance;
  for (const name of await freeDeviceNames(roots, await namesInUse(place))) {
    const command = new AttachVolumeCommand({
      VolumeId: volumeId,
      InstanceId: instanceId,
      Device: name,
    });
    try {
      await ec2.call(
        `attach the volume ${volumeId} to ${instanceId}`,
        (client) => client.send(command),
        {
          isExpected: (error) =>
            isVolumeInUse(error) || isNameInUse(error, name),
        },
      );
      return;
    } catch (error) {
      // The answer of an attempt was lost, or somebody else was faster: who has it is looked at afterwards.
      if (isVolumeInUse(error)) return;
      // Somebody took the name since it was seen free.
      if (!isNameInUse(error, name)) throw error;
    }
  }
  throw new PublicationError(
    `The instance ${instanceId} has no free device name from /dev/sdf to /dev/sdp for another volume. Detach one, or run again when less is under way on it.`,
  );
}

function isVolumeInUse(error: unknown): boolean {
  return awsErrorCode(error) === "VolumeInUse";
}

/** EC2 has a code of its own for this, and does not always use it. */
function isNameInUse(error: unknown, name: string): boolean {
  const code = awsErrorCode(error);
  if (code === "InvalidDevice.InUse") return true;
  return (
    code === "InvalidParameterValue" &&
    error instanceof Error &&
    error.message.includes(name) &&
    error.message.includes("in use")
  );
}

async function namesInUse({ ec2, instance }: Workplace): Promise<string[]> {
  const { instanceId, accountId } = instance;
  const command = new DescribeInstancesCommand({ InstanceIds: [instanceId] });
  const found = await unless("InvalidInstanceID.NotFound", (options) =>
    ec2.call(
      `look at the instance ${instanceId}`,
      (client) => client.send(command),
      options,
    ),
  );
  const [own] = (found?.Reservations ?? []).flatMap(
    ({ Instances }) => Instances ?? [],
  );
  if (own === undefined) {
    throw new UserError(
      `The credentials do not know the instance ${instanceId} that this runs on, which is of the account ${accountId} in ${instance.region}. A volume can be attached within one account only: use credentials of that one, or set \`method: ebs-direct\` for the target in cloud-images:ec2.`,
    );
  }
  return (own.BlockDeviceMappings ?? []).flatMap(
    ({ DeviceName }) => DeviceName ?? [],
  );
}

/**
 * Detaches a volume from this instance, if it is attached, and waits until it is free.
 * @throws {PublicationError} when it is attached to another one, or stays attached.
 */
export async function detachVolume(
  place: Workplace,
  volumeId: string,
): Promise<void> {
  const { attachment } = await lookOwn(place, volumeId);
  if (attachment !== undefined && attachment.state !== "detaching") {
    const command = new DetachVolumeCommand({
      VolumeId: volumeId,
      InstanceId: place.instance.instanceId,
    });
    // An attempt whose answer was lost has detached it.
    await unless("IncorrectState", (options) =>
      place.ec2.call(
        `detach the volume ${volumeId}`,
        (client) => client.send(command),
        options,
      ),
    );
  }
  const detached = await waitFor(
    place.patience.state,
    () => lookOwn(place, volumeId),
    ({ state }) => state === "available" || state === "error",
  );
  if (detached.state === "in-use") throw stuck(place, detached);
}

/**
 * Deletes a volume, which is detached from this instance before. One that is gone is no error.
 * @throws {PublicationError} when it is attached to another instance: then it is left alone.
 */
export async function removeVolume(
  place: Workplace,
  volumeId: string,
): Promise<void> {
  const volume = await look(place, volumeId);
  if (volume === undefined || !isThere(volume)) return;
  if (volume.attachment !== undefined) await detachVolume(place, volumeId);
  const command = new DeleteVolumeCommand({ VolumeId: volumeId });
  await unless("InvalidVolume.NotFound", (options) =>
    place.ec2.call(
      `delete the volume ${volumeId}`,
      (client) => client.send(command),
      options,
    ),
  );
}

/**
 * Runs `use`, and deletes the volume if that fails: the next attempt begins with a new one. What cannot be deleted is
 * found by the next attempt. A volume that somebody else uses is left alone.
 */
export async function removedOnFailure<T>(
  place: Workplace,
  volumeId: string,
  tell: Tell,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof DeviceInUseError)) {
      await removeVolume(place, volumeId).catch((failure: Error) => {
        tell(`the volume ${volumeId} is left: ${failure.message}`);
      });
    }
    throw error;
  }
}

/**
 * Refuses a volume that another instance has.
 * @throws {PublicationError}
 */
export function refuseForeign(
  { instance }: Workplace,
  { volumeId, attachment }: Volume,
): void {
  const holder = attachment?.instanceId ?? instance.instanceId;
  if (holder === instance.instanceId) return;
  throw new PublicationError(
    `The volume ${volumeId} is attached to the instance ${holder}, and this is ${instance.instanceId}: another run may be at work on it, so it was left alone. ` +
      `Wait for that run; if there is none, run \`aws ec2 detach-volume --region ${instance.region} --volume-id ${volumeId}\` and then this again.`,
  );
}

/** A volume that must be there, and not another instance's. */
async function lookOwn(place: Workplace, volumeId: string): Promise<Volume> {
  const volume = await look(place, volumeId);
  if (volume === undefined || !isThere(volume)) {
    throw new PublicationError(
      `The volume ${volumeId} was deleted by somebody else while it was needed. Run again.`,
    );
  }
  refuseForeign(place, volume);
  return volume;
}

/** The volume as it is now; `undefined` when it is gone, or EC2 does not show it yet. */
async function look(
  { ec2 }: Workplace,
  volumeId: string,
): Promise<Volume | undefined> {
  const command = new DescribeVolumesCommand({ VolumeIds: [volumeId] });
  const found = await unless("InvalidVolume.NotFound", (options) =>
    ec2.call(
      `look at the volume ${volumeId}`,
      (client) => client.send(command),
      options,
    ),
  );
  return found?.Volumes?.map(volumeOf)[0];
}

/** What a call answers; `undefined` when it is refused with a code that the caller counts on. */
async function unless<T>(
  code: string,
  call: (options: CallOptions) => Promise<T>,
): Promise<T | undefined> {
  const isExpected = (error: unknown) => awsErrorCode(error) === code;
  try {
    return await call({ isExpected });
  } catch (error) {
    if (isExpected(error)) return undefined;
    throw error;
  }
}

function isThere({ state }: Volume): boolean {
  return !["deleting", "deleted"].includes(state);
}

function volumeOf(volume: ApiVolume): Volume {
  const attachment = volume.Attachments?.find(
    ({ State }) => State !== "detached",
  );
  return {
    volumeId: volume.VolumeId ?? "",
    state: volume.State ?? "",
    sizeGiB: volume.Size ?? 0,
    availabilityZone: volume.AvailabilityZone ?? "",
    tags: volume.Tags ?? [],
    attachment: attachment && {
      instanceId: attachment.InstanceId ?? "",
      deviceName: attachment.Device ?? "",
      state: attachment.State ?? "",
    },
  };
}
