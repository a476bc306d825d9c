/** aws.ec2.AmiLaunchPermission: one who may launch an AMI. */

import type { LaunchPermission } from "@aws-sdk/client-ec2";
import type { ResourceKind } from "../resourceKind.ts";
import { isEmpty, type Properties } from "../values.ts";
import type { AwsCloud } from "./cloud.ts";
import { told, unlessGone } from "./failures.ts";
import { goneImage } from "./images.ts";
import { shapes } from "./shapes.ts";

/** Inputs that say who, with EC2's name and the word that the resource's id has. */
const grantees = {
  accountId: ["UserId", ""],
  group: ["Group", "group-"],
  organizationArn: ["OrganizationArn", "org-"],
  organizationalUnitArn: ["OrganizationalUnitArn", "ou-"],
} as const;
type Grantee = keyof typeof grantees;
const granteeNames = Object.keys(grantees) as readonly Grantee[];

function permissionOf(inputs: Properties): LaunchPermission {
  return Object.fromEntries(
    granteeNames
      .filter((name) => !isEmpty(inputs[name]))
      .map((name) => [grantees[name][0], inputs[name]]),
  );
}

export const launchPermissionKind: ResourceKind<AwsCloud> = {
  shape: shapes.ofResource("ec2/amiLaunchPermission", "AmiLaunchPermission"),
  updatable: new Set(),
  computed: new Set(["region"]),
  outputs: [],

  check(inputs) {
    const given = granteeNames.filter((name) => !isEmpty(inputs[name]));
    if (given.length === 1) return [];
    return [
      {
        property: given[1] ?? "accountId",
        reason: `one of ${granteeNames.join(", ")} must be specified, and no other`,
      },
    ];
  },

  async create(cloud, inputs) {
    const [who] = granteeNames.filter((name) => !isEmpty(inputs[name]));
    const id = `${inputs.imageId}-${grantees[who as Grantee][1]}${inputs[who as Grantee]}`;
    const ec2 = await cloud.ec2(inputs.region as string);
    const { ModifyImageAttributeCommand } = await import("@aws-sdk/client-ec2");
    await told(
      `creating AMI Launch Permission (${id})`,
      "EC2: ModifyImageAttribute",
      () =>
        ec2.send(
          new ModifyImageAttributeCommand({
            ImageId: inputs.imageId as string,
            Attribute: "launchPermission",
            LaunchPermission: { Add: [permissionOf(inputs)] },
          }),
        ),
    );
    return { id, outputs: {} };
  },

  async read(cloud, id, known) {
    const inputs = isEmpty(known.imageId) ? importedPermission(id) : known;
    const region = (known.region as string) ?? cloud.region;
    const ec2 = await cloud.ec2(region);
    const { DescribeImageAttributeCommand, DescribeImagesCommand } =
      await import("@aws-sdk/client-ec2");
    const ImageId = inputs.imageId as string;
    // moto fails on attributes of images that are not there.
    const images = await unlessGone(
      goneImage,
      ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] })),
    );
    if (images?.Images?.[0] === undefined) return undefined;
    const { LaunchPermissions = [] } = await ec2.send(
      new DescribeImageAttributeCommand({
        ImageId,
        Attribute: "launchPermission",
      }),
    );
    const wanted = Object.entries(permissionOf(inputs));
    const isThere = LaunchPermissions.some((permission) =>
      wanted.every(
        ([name, value]) => permission[name as keyof LaunchPermission] === value,
      ),
    );
    if (!isThere) return undefined;
    const who = Object.fromEntries(
      granteeNames.map((name) => [name, inputs[name]]),
    );
    return { ...who, imageId: ImageId, region };
  },

  async update() {
    throw new Error("A launch permission cannot be updated.");
  },

  async delete(cloud, id, outputs) {
    const ec2 = await cloud.ec2(outputs.region as string);
    const { ModifyImageAttributeCommand } = await import("@aws-sdk/client-ec2");
    await told(
      `deleting AMI Launch Permission (${id})`,
      "EC2: ModifyImageAttribute",
      () =>
        unlessGone(
          goneImage,
          ec2.send(
            new ModifyImageAttributeCommand({
              ImageId: outputs.imageId as string,
              Attribute: "launchPermission",
              LaunchPermission: { Remove: [permissionOf(outputs)] },
            }),
          ),
        ),
    );
  },
};

/** What an import's id says: `WHO/ami-…`. */
function importedPermission(id: string): Properties {
  const at = id.lastIndexOf("/");
  const [who, imageId] = [id.slice(0, at), id.slice(at + 1)];
  if (/^\d{12}$/.test(who)) return { imageId, accountId: who };
  if (who.includes(":organization/")) return { imageId, organizationArn: who };
  if (who.includes(":ou/")) return { imageId, organizationalUnitArn: who };
  return { imageId, group: who };
}
