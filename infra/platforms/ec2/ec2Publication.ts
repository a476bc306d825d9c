import { Ami } from "@pulumi/aws/ec2/ami.js";
import { AmiCopy } from "@pulumi/aws/ec2/amiCopy.js";
import {
  AmiLaunchPermission,
  type AmiLaunchPermissionArgs,
} from "@pulumi/aws/ec2/amiLaunchPermission.js";
import type { Provider } from "@pulumi/aws/provider.js";
import * as pulumi from "@pulumi/pulumi";
import type { ImageVersion } from "../../definitions/definition.ts";
import type { Sha256 } from "../../store/store.ts";
import type { PublishableImage } from "../platform.ts";
import {
  amiNameOf,
  deprecationTime,
  machineOf,
  rootDeviceName,
} from "./ami.ts";
import { AmiRecord } from "./amiRecord.ts";
import { CopiedSnapshots } from "./copiedSnapshots.ts";
import { EbsSnapshot } from "./ebsSnapshot.ts";
import {
  accessOf,
  type Ec2Config,
  type Ec2Target,
  type Share,
} from "./ec2Config.ts";
import { imageTags } from "./tags.ts";

/** An image version, and the region and account that it goes to. */
export interface Ec2PublicationArgs {
  readonly image: PublishableImage;
  /** The target's name. */
  readonly place: string;
  readonly target: Ec2Target;
  readonly config: Ec2Config;
  readonly provider: Provider;
  /** The AMI to copy, where the target says so, and its region. */
  readonly source?: {
    readonly imageId: pulumi.Input<string>;
    readonly region: string;
  };
}

/**
 * An AMI whose disk was read back and is the published image. Its parts come one after the other: the snapshot, the AMI,
 * the record, and only then the permissions for others to launch it.
 */
export class Ec2Publication extends pulumi.ComponentResource {
  readonly imageId: pulumi.Output<string>;
  /** Its name, known with the version. */
  readonly amiName: pulumi.Output<string>;
  /** Comes last: the record and all permissions are there. */
  readonly end: pulumi.Output<unknown>;

  constructor(
    { image, place, target, config, provider, source }: Ec2PublicationArgs,
    options: pulumi.ComponentResourceOptions,
  ) {
    const name = `${image.label}-ec2-${place}`;
    super("cloud-images:ec2:Ec2Publication", name, {}, options);
    const { stack, store, key, label, definition, channel } = image;
    // An image that has neither is not declared here; one that is published keeps them while it cannot be built again.
    const version = image.version.apply(
      (version) => version ?? image.record?.version,
    ) as pulumi.Output<ImageVersion>;
    const rawSha256 = image.rawSha256.apply(
      (sha256) => sha256 ?? image.record?.verification?.sha256,
    ) as pulumi.Output<Sha256>;
    const amiName = version.apply((version) =>
      amiNameOf(definition, channel, version),
    );
    const tags = pulumi
      .all([amiName, version, rawSha256])
      .apply(([amiName, version, rawSha256]) => ({
        ...imageTags(
          {
            ...{ stack, key, amiName, version, rawSha256 },
            definition: definition.name,
          },
          config.tags,
        ),
      }));
    const child = { parent: this, provider };
    // A name is free only when the AMI before has gone.
    const replaced = { ...child, deleteBeforeReplace: true };
    const common = {
      name: amiName,
      description: definition.description,
      deprecationTime: version.apply((version) =>
        deprecationTime(version, config.deprecateAfterDays),
      ),
      tags,
    };
    const access = accessOf(target);
    const { method, encryption, uploads } = target;
    const { zeroBlocks, readBack } = config;

    const snapshot =
      source === undefined
        ? new EbsSnapshot(
            `${name}-snapshot`,
            {
              ...{ stack, store, key, label, version, rawSha256, access },
              ...{ place, method, zeroBlocks, readBack, amiName },
              tags: config.tags,
              definition: definition.name,
              atOnce: { inPlace: uploads, inAll: image.uploads.atOnce },
              ...(encryption === undefined ? {} : { encryption }),
            },
            { parent: this, dependsOn: [...image.checks] },
          )
        : undefined;
    const copied =
      source === undefined
        ? []
        : [
            new CopiedSnapshots(
              `${name}-snapshots`,
              { stack, key, amiName, access },
              { parent: this },
            ),
          ];
    const ami =
      source === undefined
        ? new Ami(
            `${name}-ami`,
            {
              ...common,
              ...machineOf(definition),
              // Whether they are encrypted is the snapshots' affair: the plugin takes no `encrypted` beside a snapshot,
              // and tells devices apart by name and snapshot alone, so that what EC2 says of it shows no change.
              ebsBlockDevices: [
                {
                  deviceName: rootDeviceName,
                  snapshotId: snapshot?.snapshotId as pulumi.Output<string>,
                  volumeSize: snapshot?.volumeSizeGiB as pulumi.Output<number>,
                  volumeType: "gp3",
                  deleteOnTermination: true,
                },
              ],
            },
            replaced,
          )
        : new AmiCopy(
            `${name}-ami`,
            {
              ...common,
              sourceAmiId: source.imageId,
              sourceAmiRegion: source.region,
              ...(encryption === undefined
                ? {}
                : {
                    encrypted: true,
                    ...(encryption.kmsKey === undefined
                      ? {}
                      : { kmsKeyId: encryption.kmsKey }),
                  }),
            },
            // What it was copied from may go, and come back under another id: the copy is what it was.
            {
              ...replaced,
              ignoreChanges: ["sourceAmiId", "sourceAmiRegion"],
              dependsOn: copied,
            },
          );
    const grantees = granteesOf(target.share);
    const record = new AmiRecord(
      `${name}-record`,
      {
        ...{ stack, store, key, label, version, channel, place, access },
        ...{ method, readBack, amiName, rawSha256 },
        definition: definition.name,
        imageId: ami.id,
        snapshotId: snapshot?.snapshotId,
        verification: snapshot?.verification,
        sourceImageId: source?.imageId,
        launchers: grantees.map(({ launcher }) => launcher),
      },
      { parent: this },
    );
    const permissions = grantees.map(
      ({ launcher: _, suffix, ...grantee }) =>
        new AmiLaunchPermission(
          `${name}-${suffix}`,
          { imageId: ami.id, ...grantee },
          { ...child, dependsOn: [record] },
        ),
    );

    this.imageId = ami.id;
    this.amiName = amiName;
    this.end = pulumi.all([record.id, ...permissions.map(({ id }) => id)]);
    this.registerOutputs({ imageId: ami.id });
  }
}

type Grantee = Omit<AmiLaunchPermissionArgs, "imageId"> & {
  /** What the resource's name ends with. */
  readonly suffix: string;
  /** As EC2 names it. */
  readonly launcher: string;
};

/** One launch permission for each who is named. */
function granteesOf(share: Share): readonly Grantee[] {
  if (share === "private") return [];
  if (share === "public") {
    return [{ suffix: "public", launcher: "all", group: "all" }];
  }
  return [
    ...share.accounts.map((accountId) => ({
      ...{ suffix: accountId, launcher: accountId, accountId },
    })),
    ...share.organizations.map((arn) => ({
      launcher: arn,
      suffix: arn.slice(arn.lastIndexOf("/") + 1),
      // An ARN of a unit has `:ou/`, one of an organization `:organization/`.
      ...(arn.includes(":ou/")
        ? { organizationalUnitArn: arn }
        : { organizationArn: arn }),
    })),
  ];
}
