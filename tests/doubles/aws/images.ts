/** AMIs: aws.ec2.Ami and aws.ec2.AmiCopy, which differ only in how the image comes to be. */

import { isDeepStrictEqual } from "node:util";
import type {
  BlockDeviceMapping,
  EC2Client,
  Image,
  RegisterImageRequest,
} from "@aws-sdk/client-ec2";
import { motoAccount } from "../../servers/moto.ts";
import type { ResourceKind } from "../resourceKind.ts";
import type { Misfit } from "../shapes.ts";
import {
  isEmpty,
  isList,
  isObject,
  type Properties,
  unknown,
  type Value,
} from "../values.ts";
import { type AwsCloud, keepImage, keptImage } from "./cloud.ts";
import { RefusedByAws, told, unlessGone } from "./failures.ts";
import { shapes } from "./shapes.ts";
import { copySnapshot } from "./snapshotCopy.ts";
import { changeTags, tagsOf } from "./tags.ts";

/** What EC2 says of AMIs that are not there, or not any more. */
export const goneImage = ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"];

/** Characters and length of an AMI's name, as RegisterImage documents them. */
const namePattern = /^[A-Za-z0-9()[\] ./'@_-]{3,128}$/;

/** Values that EC2 takes. */
const choices: Readonly<Record<string, readonly string[]>> = {
  architecture: ["i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"],
  bootMode: ["legacy-bios", "uefi", "uefi-preferred"],
  imdsSupport: ["v2.0"],
  sriovNetSupport: ["simple"],
  tpmSupport: ["v2.0"],
  virtualizationType: ["hvm", "paravirtual"],
};

const volumeTypes = ["standard", "io1", "io2", "gp2", "gp3", "sc1", "st1"];

const computedOutputs = [
  "arn",
  "hypervisor",
  "imageOwnerAlias",
  "imageType",
  "manageEbsSnapshots",
  "ownerId",
  "platformDetails",
  "public",
  "rootSnapshotId",
  "tagsAll",
  "usageOperation",
];

/** Inputs that RegisterImage takes and moto drops, and outputs that follow from them. */
const registered = [
  "architecture",
  "bootMode",
  "ebsBlockDevices",
  "enaSupport",
  "imdsSupport",
  "rootDeviceName",
  "sriovNetSupport",
  "tpmSupport",
  "uefiData",
  "virtualizationType",
] as const;

/** EC2 rounds to the minute. */
function sameMinute(old: Value, wanted: Value): boolean {
  const minute = (value: Value) =>
    Math.round(Date.parse(String(value)) / 60_000);
  return minute(old) === minute(wanted);
}

/**
 * Block devices are a set in the plugin, whose members are known by device and snapshot alone (`Set` of
 * `ebs_block_device` in internal/service/ec2/ec2_ami.go of hashicorp/terraform-provider-aws), and sets of the same
 * members show no changes (`diffSet` of its SDK): neither of what EC2 decided, such as `encrypted`, nor of anything else.
 */
function sameDevices(old: Value, wanted: Value): boolean {
  const members = (devices: Value) =>
    (isList(devices) ? devices.filter(isObject) : [])
      .map(({ deviceName, snapshotId }) => `${deviceName}-${snapshotId ?? ""}`)
      .sort();
  return isDeepStrictEqual(members(old), members(wanted));
}

const commonKind = {
  nameProperty: "name",
  updatable: new Set(["deprecationTime", "description", "tags"]),
  computed: new Set([
    "ebsBlockDevices",
    "ephemeralBlockDevices",
    "imageLocation",
    "kmsKeyId",
    "region",
  ]),
  same: { deprecationTime: sameMinute, ebsBlockDevices: sameDevices },
  read: readImage,
  update: updateImage,
  delete: deregisterImage,
};

export const amiKind: ResourceKind<AwsCloud> = {
  ...commonKind,
  shape: shapes.ofResource("ec2/ami", "Ami"),
  defaults: {
    architecture: "x86_64",
    sriovNetSupport: "simple",
    virtualizationType: "paravirtual",
  },
  outputs: computedOutputs,

  check(inputs) {
    const wrong = wrongName(inputs);
    for (const [name, allowed] of Object.entries(choices)) {
      const value = inputs[name];
      if (
        typeof value === "string" &&
        value !== unknown &&
        !allowed.includes(value)
      ) {
        wrong.push({
          property: name,
          reason: `expected ${name} to be one of ${allowed.join(", ")}, got ${value}`,
        });
      }
    }
    return wrong;
  },

  async create(cloud, inputs) {
    const region = inputs.region as string;
    const ec2 = await cloud.ec2(region);
    const { RegisterImageCommand } = await import("@aws-sdk/client-ec2");
    const name = inputs.name as string;
    const id = await told(
      `creating EC2 AMI (${name})`,
      "EC2: RegisterImage",
      async () => {
        const request = registration(inputs);
        await refuseTakenName(ec2, name);
        const mappings = await completedMappings(ec2, request);
        const { ImageId } = await ec2.send(
          new RegisterImageCommand({
            ...request,
            BlockDeviceMappings: [...mappings],
          }),
        );
        return ImageId as string;
      },
    );
    const sizes = await volumeSizes(ec2, inputs);
    await keepImage(id, {
      ...Object.fromEntries(registered.map((key) => [key, inputs[key]])),
      ebsBlockDevices: sizes,
      description: inputs.description,
      imageLocation: inputs.imageLocation ?? `${motoAccount}/${name}`,
    });
    await changeTags(ec2, id, {}, inputs);
    await deprecate(id, inputs.deprecationTime);
    return { id, outputs: await existing(cloud, id, region) };
  },
};

export const amiCopyKind: ResourceKind<AwsCloud> = {
  ...commonKind,
  shape: shapes.ofResource("ec2/amiCopy", "AmiCopy"),
  defaults: { encrypted: false },
  outputs: [
    ...computedOutputs,
    ...registered.filter((key) => key !== "ebsBlockDevices"),
    "imageLocation",
  ],
  unread: new Set(["sourceAmiId", "sourceAmiRegion", "encrypted", "kmsKeyId"]),
  check: wrongName,

  async create(cloud, inputs) {
    const region = inputs.region as string;
    const sourceRegion = inputs.sourceAmiRegion as string;
    const sourceId = inputs.sourceAmiId as string;
    const name = inputs.name as string;
    const ec2 = await cloud.ec2(region);
    const { CopyImageCommand } = await import("@aws-sdk/client-ec2");
    const source = await imageOf(await cloud.ec2(sourceRegion), sourceId);
    const id = await told(
      `creating EC2 AMI (${name}) from source EC2 AMI (${sourceId})`,
      "EC2: CopyImage",
      async () => {
        if (source === undefined) {
          throw new RefusedByAws(
            "InvalidAMIID.NotFound",
            `The image id '[${sourceId}]' does not exist`,
          );
        }
        await refuseTakenName(ec2, name);
        const { ImageId } = await ec2.send(
          new CopyImageCommand({
            Name: name,
            SourceImageId: sourceId,
            SourceRegion: sourceRegion,
            Description: inputs.description as string | undefined,
          }),
        );
        return ImageId as string;
      },
    );
    const kept = await keptImage(sourceId);
    const devices = [];
    for (const device of isList(kept.ebsBlockDevices)
      ? kept.ebsBlockDevices
      : []) {
      if (!isObject(device)) continue;
      const snapshotId = await copySnapshot(cloud, {
        sourceRegion,
        region,
        sourceId,
        id,
        snapshot: device.snapshotId as string,
        isEncrypted: inputs.encrypted === true,
        kmsKey: inputs.kmsKeyId as string | undefined,
      });
      devices.push({
        ...device,
        snapshotId,
        encrypted: device.encrypted === true || inputs.encrypted === true,
      });
    }
    await keepImage(id, {
      ...kept,
      ebsBlockDevices: devices,
      description: inputs.description ?? "",
      manageEbsSnapshots: true,
      deprecationTime: undefined,
      imageLocation: `${motoAccount}/${name}`,
    });
    await changeTags(ec2, id, {}, inputs);
    await deprecate(id, inputs.deprecationTime);
    return { id, outputs: await existing(cloud, id, region) };
  },
};

function wrongName({ name }: Properties): Misfit[] {
  if (name === unknown || namePattern.test(String(name))) return [];
  return [
    {
      property: "name",
      reason: `AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and ()[] ./-'@_; this is ${JSON.stringify(name)}`,
    },
  ];
}

/** @throws {RefusedByAws} as EC2 does where moto would register a second AMI of the name. */
async function refuseTakenName(ec2: EC2Client, name: string): Promise<void> {
  const { DescribeImagesCommand } = await import("@aws-sdk/client-ec2");
  const { Images = [] } = await ec2.send(
    new DescribeImagesCommand({
      Owners: ["self"],
      Filters: [{ Name: "name", Values: [name] }],
    }),
  );
  const [other] = Images.filter((image) => image.Name === name);
  if (other !== undefined) {
    throw new RefusedByAws(
      "InvalidAMIName.Duplicate",
      `AMI name ${name} is already in use by AMI ${other.ImageId}`,
    );
  }
}

function registration(inputs: Properties): RegisterImageRequest {
  const devices = isList(inputs.ebsBlockDevices) ? inputs.ebsBlockDevices : [];
  const mappings = devices
    .filter(isObject)
    .map((device): BlockDeviceMapping => {
      if (!isEmpty(device.snapshotId) && device.encrypted === true) {
        throw new RefusedByAws(
          "InvalidParameterCombination",
          "can't set both 'snapshot_id' and 'encrypted'",
        );
      }
      return {
        DeviceName: device.deviceName as string,
        Ebs: {
          SnapshotId: device.snapshotId as string | undefined,
          VolumeSize: device.volumeSize as number | undefined,
          VolumeType: (device.volumeType ?? "standard") as "gp3",
          DeleteOnTermination: device.deleteOnTermination !== false,
          Throughput: device.throughput as number | undefined,
          Iops: device.iops as number | undefined,
        },
      };
    });
  const root = inputs.rootDeviceName;
  if (!mappings.some(({ DeviceName }) => DeviceName === root)) {
    throw new RefusedByAws(
      "InvalidBlockDeviceMapping",
      `The device '${root}' is not mapped: the root device needs a snapshot`,
    );
  }
  if (inputs.virtualizationType === "hvm" && !isEmpty(inputs.kernelId)) {
    throw new RefusedByAws(
      "InvalidParameterCombination",
      "kernelId is not allowed with hvm",
    );
  }
  if (inputs.virtualizationType !== "hvm" && inputs.bootMode !== undefined) {
    throw new RefusedByAws(
      "InvalidParameterCombination",
      "A boot mode needs virtualization type 'hvm'",
    );
  }
  if (inputs.tpmSupport !== undefined && inputs.bootMode === "legacy-bios") {
    throw new RefusedByAws(
      "InvalidParameterCombination",
      "TPM support needs boot mode 'uefi' or 'uefi-preferred'",
    );
  }
  if (inputs.architecture === "arm64" && inputs.bootMode !== "uefi") {
    throw new RefusedByAws(
      "InvalidParameterValue",
      "The boot mode of an arm64 AMI has to be 'uefi'",
    );
  }
  return {
    Name: inputs.name as string,
    Architecture: inputs.architecture as "x86_64",
    Description: inputs.description as string | undefined,
    EnaSupport: inputs.enaSupport as boolean | undefined,
    RootDeviceName: root as string,
    SriovNetSupport: inputs.sriovNetSupport as string,
    VirtualizationType: inputs.virtualizationType as string,
    BootMode: inputs.bootMode as "uefi" | undefined,
    ImdsSupport: inputs.imdsSupport as "v2.0" | undefined,
    TpmSupport: inputs.tpmSupport as "v2.0" | undefined,
    UefiData: inputs.uefiData as string | undefined,
    BlockDeviceMappings: mappings,
  };
}

/** @throws {RefusedByAws} for a snapshot that is not there, or not complete, or larger than its volume. */
async function completedMappings(
  ec2: EC2Client,
  { BlockDeviceMappings = [] }: RegisterImageRequest,
): Promise<readonly BlockDeviceMapping[]> {
  for (const { DeviceName, Ebs } of BlockDeviceMappings) {
    if (!volumeTypes.includes(Ebs?.VolumeType ?? "standard")) {
      throw new RefusedByAws(
        "InvalidParameterValue",
        `Invalid volume type: ${Ebs?.VolumeType}`,
      );
    }
    const id = Ebs?.SnapshotId;
    if (id === undefined) continue;
    const snapshot = await snapshotOf(ec2, id);
    if (snapshot === undefined) {
      throw new RefusedByAws(
        "InvalidSnapshot.NotFound",
        `The snapshot '${id}' does not exist.`,
      );
    }
    if (snapshot.State !== "completed") {
      throw new RefusedByAws(
        "IncorrectState",
        `The snapshot '${id}' is not 'completed', but '${snapshot.State}'.`,
      );
    }
    const size = Ebs?.VolumeSize;
    if (size !== undefined && size < (snapshot.VolumeSize ?? 0)) {
      throw new RefusedByAws(
        "InvalidBlockDeviceMapping",
        `Volume of size ${size}GB is smaller than snapshot '${id}' (device ${DeviceName}), expect size >= ${snapshot.VolumeSize}GB`,
      );
    }
  }
  return BlockDeviceMappings;
}

async function snapshotOf(ec2: EC2Client, id: string) {
  const { DescribeSnapshotsCommand } = await import("@aws-sdk/client-ec2");
  const found = await unlessGone(
    ["InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed"],
    ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] })),
  );
  return found?.Snapshots?.[0];
}

/** The block devices as EC2 tells them afterwards: with the sizes that come from the snapshots. */
async function volumeSizes(
  ec2: EC2Client,
  inputs: Properties,
): Promise<readonly Properties[]> {
  const devices = isList(inputs.ebsBlockDevices) ? inputs.ebsBlockDevices : [];
  return Promise.all(
    devices.filter(isObject).map(async (device) => {
      const snapshot = isEmpty(device.snapshotId)
        ? undefined
        : await snapshotOf(ec2, device.snapshotId as string);
      return {
        deleteOnTermination: true,
        volumeType: "standard",
        volumeSize: snapshot?.VolumeSize,
        encrypted: snapshot?.Encrypted ?? false,
        ...device,
      };
    }),
  );
}

async function imageOf(ec2: EC2Client, id: string): Promise<Image | undefined> {
  const { DescribeImagesCommand } = await import("@aws-sdk/client-ec2");
  const found = await unlessGone(
    goneImage,
    ec2.send(new DescribeImagesCommand({ ImageIds: [id] })),
  );
  return found?.Images?.[0];
}

/** @param time RFC 3339, or nothing for an AMI that is never deprecated */
async function deprecate(id: string, time: Value | undefined): Promise<void> {
  const kept = await keptImage(id);
  if (isEmpty(time)) {
    await keepImage(id, { ...kept, deprecationTime: undefined });
    return;
  }
  const moment = Date.parse(String(time));
  if (Number.isNaN(moment) || moment < Date.now()) {
    throw new Error(
      `creating EC2 AMI (${id}): enabling deprecation: operation error EC2: EnableImageDeprecation, api error InvalidParameterValue: The deprecation time ${time} is no time in the future.`,
    );
  }
  const rounded = new Date(Math.round(moment / 60_000) * 60_000);
  await keepImage(id, { ...kept, deprecationTime: rounded.toISOString() });
}

async function existing(
  cloud: AwsCloud,
  id: string,
  region: string,
): Promise<Properties> {
  const found = await readImage(cloud, id, { region });
  if (found === undefined) throw new Error(`The AMI ${id} has gone at once.`);
  return found;
}

async function readImage(
  cloud: AwsCloud,
  importId: string,
  known: Properties,
): Promise<Properties | undefined> {
  // An import may name another region than the provider's, as `ami-…@region`.
  const [id = "", named] = importId.split("@");
  const region = named ?? (known.region as string) ?? cloud.region;
  const image = await imageOf(await cloud.ec2(region), id);
  if (image === undefined) return undefined;
  const kept = await keptImage(id);
  const tags = tagsOf(image.Tags);
  const devices = isList(kept.ebsBlockDevices) ? kept.ebsBlockDevices : [];
  const root = devices
    .filter(isObject)
    .find(({ deviceName }) => deviceName === kept.rootDeviceName);
  return {
    architecture: image.Architecture,
    description: image.Description,
    ...kept,
    arn: `arn:aws:ec2:${region}::image/${id}`,
    hypervisor: "xen",
    imageType: "machine",
    manageEbsSnapshots: kept.manageEbsSnapshots ?? false,
    name: image.Name,
    ownerId: image.OwnerId,
    platformDetails: "Linux/UNIX",
    public: image.Public ?? false,
    region,
    rootSnapshotId: root?.snapshotId ?? "",
    tags,
    tagsAll: tags,
    usageOperation: "RunInstances",
  };
}

async function updateImage(
  cloud: AwsCloud,
  id: string,
  olds: Properties,
  news: Properties,
): Promise<Properties> {
  const region = news.region as string;
  const ec2 = await cloud.ec2(region);
  await changeTags(ec2, id, olds, news);
  if (olds.description !== news.description) {
    const { ModifyImageAttributeCommand } = await import("@aws-sdk/client-ec2");
    await told(`updating EC2 AMI (${id})`, "EC2: ModifyImageAttribute", () =>
      ec2.send(
        new ModifyImageAttributeCommand({
          ImageId: id,
          Description: { Value: String(news.description ?? "") },
        }),
      ),
    );
    await keepImage(id, {
      ...(await keptImage(id)),
      description: news.description ?? "",
    });
  }
  if (olds.deprecationTime !== news.deprecationTime) {
    await deprecate(id, news.deprecationTime);
  }
  return existing(cloud, id, region);
}

async function deregisterImage(
  cloud: AwsCloud,
  id: string,
  outputs: Properties,
): Promise<void> {
  const ec2 = await cloud.ec2(outputs.region as string);
  const { DeregisterImageCommand, DeleteSnapshotCommand } = await import(
    "@aws-sdk/client-ec2"
  );
  const deregistered = await told(
    `deregistering EC2 AMI (${id})`,
    "EC2: DeregisterImage",
    () =>
      unlessGone(
        goneImage,
        ec2.send(new DeregisterImageCommand({ ImageId: id })),
      ),
  );
  // Of an AMI that had gone, the plugin leaves the snapshots where they are.
  if (deregistered === undefined || outputs.manageEbsSnapshots !== true) return;
  const devices = isList(outputs.ebsBlockDevices)
    ? outputs.ebsBlockDevices.filter(isObject)
    : [];
  for (const { snapshotId } of devices) {
    if (isEmpty(snapshotId)) continue;
    await told(`deleting snapshot ${snapshotId}`, "EC2: DeleteSnapshot", () =>
      ec2.send(new DeleteSnapshotCommand({ SnapshotId: String(snapshotId) })),
    );
  }
}
