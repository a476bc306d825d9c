/**
 * What the roles may do: exactly the calls that this project and @pulumi/aws make for it, on what carries our tag
 * wherever AWS lets a policy say so (Service Authorization Reference of EC2, EBS, Systems Manager and S3). Pure.
 *
 * Two things cannot be said. Lists, `Describe…`, know no resources: they are bound to the regions alone. And @pulumi/aws tags an
 * AMI only after it was registered, so the release role may put our tag on an AMI that has none: an account of its own
 * for images is the answer to that (docs/ec2.md).
 */

import { tagNames } from "../../platforms/ec2/tags.ts";
import {
  type PolicyDocument,
  type PolicyStatement,
  partitionOf,
  policyDocument,
} from "./policyDocument.ts";

/** What is published, and where to. */
export interface PublishingScope {
  /** The account's 12 digits. */
  readonly account: string;
  readonly regions: readonly string[];
  /** `organization/project/stack` of each stack that publishes. */
  readonly stacks: readonly string[];
  /** Beginning of the parameters' names, where there are any. */
  readonly parameters?: string | undefined;
  readonly methods: readonly ("ebs-direct" | "volume")[];
  /** ARNs of keys that snapshots are encrypted with. */
  readonly kmsKeys: readonly string[];
  readonly bucket?:
    | { readonly name: string; readonly prefix?: string | undefined }
    | undefined;
}

/** The longest inline policies that a role may have, all together, without white space (IAM quotas). */
export const rolePolicyCharacters = 10_240;

const stackTag = tagNames.stack;

/** Patterns of the resources of a scope, in every region: one statement refuses all others, see {@link nowhereElse}. */
class Arns {
  readonly #account: string;
  readonly #partition: string;

  constructor({ account, regions }: PublishingScope) {
    this.#account = account;
    this.#partition = partitionOf(regions[0] ?? "");
  }

  /** AMIs and snapshots have no account in their ARNs. */
  shared(type: "image" | "snapshot"): string {
    return `arn:${this.#partition}:ec2:*::${type}/*`;
  }

  own(type: "volume" | "instance"): string {
    return `arn:${this.#partition}:ec2:*:${this.#account}:${type}/*`;
  }

  parameters(beginning: string): string {
    return `arn:${this.#partition}:ssm:*:${this.#account}:parameter${beginning}/*`;
  }

  bucket(name: string): string {
    return `arn:${this.#partition}:s3:::${name}`;
  }
}

/** What carries our tag already. */
function isOurs({ stacks }: PublishingScope) {
  return { StringEquals: { [`aws:ResourceTag/${stackTag}`]: stacks } };
}

/** What gets our tag by this very call. */
function becomesOurs({ stacks }: PublishingScope) {
  return { StringEquals: { [`aws:RequestTag/${stackTag}`]: stacks } };
}

/** Said once, as regions in every ARN or condition would fill the quota. A bucket is in its region anyway. */
function nowhereElse({ regions }: PublishingScope): PolicyStatement {
  return {
    Sid: "NowhereElse",
    Effect: "Deny",
    Action: ["ebs:*", "ec2:*", "ssm:*"],
    Resource: ["*"],
    Condition: { StringNotEquals: { "aws:RequestedRegion": regions } },
  };
}

function allow(
  Sid: string,
  Action: readonly string[],
  Resource: readonly string[],
  Condition?: PolicyStatement["Condition"],
): PolicyStatement {
  return {
    ...{ Sid, Effect: "Allow", Action, Resource },
    ...(Condition === undefined ? {} : { Condition }),
  };
}

/** What looks and changes nothing: `pulumi preview`, a refresh, `scripts/images verify`. */
export function previewPolicy(scope: PublishingScope): PolicyDocument {
  return policyDocument(readingStatements(scope));
}

/** All that `pulumi up` and `pulumi destroy` need for publishing. */
export function releasePolicy(scope: PublishingScope): PolicyDocument {
  const hasVolumes = scope.methods.includes("volume");
  return policyDocument([
    ...readingStatements(scope),
    ...imageStatements(scope),
    ...(scope.methods.includes("ebs-direct") ? ebsDirectStatements(scope) : []),
    ...(hasVolumes ? volumeStatements(scope) : []),
    ...writtenParameters(scope),
    ...writtenObjects(scope),
    ...keyStatements(scope),
  ]);
}

function readingStatements(scope: PublishingScope): readonly PolicyStatement[] {
  const arns = new Arns(scope);
  const { parameters, bucket } = scope;
  return [
    nowhereElse(scope),
    allow(
      "Look",
      [
        "ec2:DescribeImageAttribute",
        "ec2:DescribeImages",
        "ec2:DescribeSnapshots",
        ...(parameters === undefined ? [] : ["ssm:DescribeParameters"]),
      ],
      ["*"],
    ),
    allow(
      "ReadBlocks",
      ["ebs:GetSnapshotBlock", "ebs:ListSnapshotBlocks"],
      [arns.shared("snapshot")],
      isOurs(scope),
    ),
    ...(parameters === undefined
      ? []
      : [
          allow(
            "ReadParameters",
            ["ssm:GetParameter", "ssm:ListTagsForResource"],
            [arns.parameters(parameters)],
          ),
        ]),
    ...(bucket === undefined
      ? []
      : [
          allow("ReadObjects", ["s3:GetObject"], [objectsOf(bucket, arns)]),
          allow(
            "ListObjects",
            ["s3:ListBucket"],
            [arns.bucket(bucket.name)],
            bucket.prefix === undefined
              ? undefined
              : {
                  StringLike: {
                    "s3:prefix": [bucket.prefix, `${bucket.prefix}/*`],
                  },
                },
          ),
        ]),
  ];
}

function objectsOf(
  { name, prefix }: NonNullable<PublishingScope["bucket"]>,
  arns: Arns,
): string {
  return [
    arns.bucket(name),
    ...(prefix === undefined ? [] : [prefix]),
    "*",
  ].join("/");
}

function imageStatements(scope: PublishingScope): readonly PolicyStatement[] {
  const arns = new Arns(scope);
  const images = [arns.shared("image")];
  const snapshots = [arns.shared("snapshot")];
  const hasVolumes = scope.methods.includes("volume");
  const volumes = hasVolumes ? [arns.own("volume")] : [];
  const taggable = [...images, ...snapshots, ...volumes];
  return [
    // Neither has tags yet; an AMI's own snapshot must be ours.
    allow("CopyImages", ["ec2:CopyImage"], [...images, ...snapshots]),
    allow("NewImages", ["ec2:RegisterImage"], images),
    allow(
      "NewImagesOfOurSnapshots",
      ["ec2:RegisterImage"],
      snapshots,
      isOurs(scope),
    ),
    // Tags that come with a snapshot or volume, or right after an AMI or the snapshot of a copy.
    allow("Tag", ["ec2:CreateTags"], taggable, {
      ...becomesOurs(scope),
      // What another stack has stays that stack's.
      StringEqualsIfExists: {
        [`aws:ResourceTag/${stackTag}`]: [...scope.stacks],
      },
    }),
    allow("ChangeTagsOfOurs", ["ec2:CreateTags", "ec2:DeleteTags"], taggable, {
      ...isOurs(scope),
      // What is ours stays ours until it is deleted.
      "ForAllValues:StringNotEquals": { "aws:TagKeys": [stackTag] },
    }),
    allow(
      "ChangeImages",
      [
        "ec2:DeregisterImage",
        "ec2:DisableImageDeprecation",
        "ec2:EnableImageDeprecation",
        "ec2:ModifyImageAttribute",
      ],
      images,
      isOurs(scope),
    ),
    allow("DeleteSnapshots", ["ec2:DeleteSnapshot"], snapshots, isOurs(scope)),
  ];
}

function ebsDirectStatements(
  scope: PublishingScope,
): readonly PolicyStatement[] {
  const snapshots = [new Arns(scope).shared("snapshot")];
  return [
    allow(
      "StartSnapshots",
      ["ebs:StartSnapshot"],
      snapshots,
      becomesOurs(scope),
    ),
    allow(
      "WriteBlocks",
      ["ebs:CompleteSnapshot", "ebs:PutSnapshotBlock"],
      snapshots,
      isOurs(scope),
    ),
  ];
}

/** What the method `volume` adds: it works on the instance that it runs on. */
function volumeStatements(scope: PublishingScope): readonly PolicyStatement[] {
  const arns = new Arns(scope);
  const volumes = [arns.own("volume")];
  const snapshots = [arns.shared("snapshot")];
  return [
    allow(
      "LookAtVolumes",
      ["ec2:DescribeInstances", "ec2:DescribeVolumes"],
      ["*"],
    ),
    allow("NewVolumes", ["ec2:CreateVolume"], volumes, becomesOurs(scope)),
    allow(
      "NewVolumesOfOurSnapshots",
      ["ec2:CreateVolume"],
      snapshots,
      isOurs(scope),
    ),
    allow(
      "UseVolumes",
      [
        "ec2:AttachVolume",
        "ec2:CreateSnapshot",
        "ec2:DeleteVolume",
        "ec2:DetachVolume",
      ],
      volumes,
      isOurs(scope),
    ),
    // Whose volume it is decides; the instance is the runner's own.
    allow(
      "UseInstances",
      ["ec2:AttachVolume", "ec2:DetachVolume"],
      [arns.own("instance")],
    ),
    allow(
      "NewSnapshotsOfVolumes",
      ["ec2:CreateSnapshot"],
      snapshots,
      becomesOurs(scope),
    ),
  ];
}

function writtenParameters(scope: PublishingScope): readonly PolicyStatement[] {
  if (scope.parameters === undefined) return [];
  return [
    allow(
      "WriteParameters",
      ["ssm:DeleteParameter", "ssm:PutParameter"],
      [new Arns(scope).parameters(scope.parameters)],
    ),
  ];
}

function writtenObjects(scope: PublishingScope): readonly PolicyStatement[] {
  const { bucket } = scope;
  if (bucket === undefined) return [];
  const arns = new Arns(scope);
  return [
    allow(
      "WriteObjects",
      ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"],
      [objectsOf(bucket, arns)],
    ),
    allow(
      "ListUploads",
      ["s3:ListBucketMultipartUploads"],
      [arns.bucket(bucket.name)],
    ),
  ];
}

/** What EBS asks of whoever has it encrypt with a key of the account's own (Amazon EBS User Guide, encryption). */
function keyStatements({
  kmsKeys,
}: PublishingScope): readonly PolicyStatement[] {
  if (kmsKeys.length === 0) return [];
  return [
    allow(
      "UseKeys",
      [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ],
      kmsKeys,
    ),
    allow("LendKeys", ["kms:CreateGrant"], kmsKeys, {
      Bool: { "kms:GrantIsForAWSResource": "true" },
    }),
  ];
}
