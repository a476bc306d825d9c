/** Tells what an AMI holds, to anyone who may read its snapshot. */

import { DescribeImagesCommand, type Image } from "@aws-sdk/client-ec2";
import type { AwsAccess } from "../../aws/access.ts";
import { awsErrorCode } from "../../aws/failures.ts";
import { UserError } from "../../errors.ts";
import type { Sha256 } from "../../store/store.ts";
import { rootSnapshotId } from "./amis.ts";
import { usualSettings } from "./ebsDirect.ts";
import { sha256OfSnapshot } from "./readBack.ts";
import type { Tell } from "./snapshotRequest.ts";
import { type Ec2Caller, ec2Caller } from "./snapshots.ts";
import { tagNames } from "./tags.ts";

/** What an AMI holds, and what it says of itself; whether that is true is for the reader to judge. */
export interface AmiContents {
  readonly imageId: string;
  readonly name: string;
  readonly snapshotId: string;
  /** Of the disk's bytes as they were read. */
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  /** What its tags say that the image is; seen by its owner alone. */
  readonly taggedSha256?: string | undefined;
}

const gibibyte = 1024 ** 3;

/**
 * Reads the snapshot that an AMI boots from.
 *
 * @param sizeBytes of the image; what the volume has when left out
 * @throws {UserError} when there is no such AMI, or it may not be read.
 * @throws {WrongCopyError} when there is data behind the image's end.
 * @throws {PublicationError} when AWS does not answer for too long.
 */
export async function verifyAmi(
  access: AwsAccess,
  imageId: string,
  tell: Tell,
  sizeBytes?: number,
  settings = usualSettings,
): Promise<AmiContents> {
  const image = await findImage(ec2Caller(access), access.region, imageId);
  const snapshotId = rootSnapshotId(image);
  const root = image.BlockDeviceMappings?.find(
    ({ Ebs }) => Ebs?.SnapshotId === snapshotId,
  );
  if (snapshotId === undefined) {
    throw new UserError(
      `The AMI ${imageId} in ${access.region} boots from no snapshot of EBS: there is nothing to read.`,
    );
  }
  const size = sizeBytes ?? (root?.Ebs?.VolumeSize ?? 0) * gibibyte;
  const sha256 = await sha256OfSnapshot(
    ...([access, snapshotId, size, tell, settings] as const),
  );
  const tagged = image.Tags?.find(({ Key }) => Key === tagNames.rawSha256);
  return {
    ...{ imageId, name: image.Name ?? "", snapshotId, sha256 },
    sizeBytes: size,
    taggedSha256: tagged?.Value,
  };
}

async function findImage(
  ec2: Ec2Caller,
  region: string,
  imageId: string,
): Promise<Image> {
  const isExpected = (error: unknown) =>
    awsErrorCode(error).startsWith("InvalidAMIID");
  try {
    const { Images = [] } = await ec2.call(
      `look at the AMI ${imageId}`,
      (client) =>
        client.send(new DescribeImagesCommand({ ImageIds: [imageId] })),
      { isExpected },
    );
    const [image] = Images;
    if (image !== undefined) return image;
  } catch (error) {
    if (!isExpected(error)) throw error;
  }
  throw new UserError(
    `There is no AMI ${imageId} in ${region} that these credentials may see. Check its ID and region, and ask its owner to share it.`,
  );
}
