/** AMIs of an account as EC2 shows them. */

import { DescribeImagesCommand, type Image } from "@aws-sdk/client-ec2";
import { UserError } from "../../errors.ts";
import type { Ec2Caller } from "./snapshots.ts";
import { carriesTags } from "./tags.ts";

/**
 * Makes sure that an AMI can have its name: AMIs of one account and region have different ones.
 *
 * @param identityTags an AMI that carries them is the one that there is to be
 * @param snapshotIds an AMI of one of these is, too: it may not have got its tags yet
 * @throws {UserError} when another AMI has the name.
 * @throws {UserError | PublicationError} see {@link PatientCaller.call}.
 */
export async function checkNameIsFree(
  ec2: Ec2Caller,
  region: string,
  name: string,
  identityTags: Readonly<Record<string, string>>,
  snapshotIds: readonly string[],
): Promise<void> {
  const images = await imagesOfName(ec2, name);
  const other = images.find(
    (image) =>
      !carriesTags(image.Tags, identityTags) &&
      !snapshotIds.includes(rootSnapshotId(image) ?? ""),
  );
  if (other === undefined) return;
  throw new UserError(
    `The AMI ${other.ImageId} in ${region} has the name ${JSON.stringify(name)} already, and is not of this image. Deregister it, or give it to another account or region. Nothing was uploaded.`,
  );
}

/** The account's own AMIs of a name; there is one at most where no copy of it is on its way. */
export async function imagesOfName(
  ec2: Ec2Caller,
  name: string,
): Promise<readonly Image[]> {
  const { Images = [] } = await ec2.call("look for AMIs", (client) =>
    client.send(
      new DescribeImagesCommand({
        Owners: ["self"],
        Filters: [{ Name: "name", Values: [name] }],
      }),
    ),
  );
  // `*` and `?` have a meaning in filters.
  return Images.filter(({ Name }) => Name === name);
}

/** The snapshot that an AMI boots from; `undefined` where it has none of EBS. */
export function rootSnapshotId(image: Image): string | undefined {
  const { BlockDeviceMappings = [], RootDeviceName } = image;
  const root = BlockDeviceMappings.find(
    ({ DeviceName }) => DeviceName === RootDeviceName,
  );
  return root?.Ebs?.SnapshotId;
}
