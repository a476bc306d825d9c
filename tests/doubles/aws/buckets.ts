/** aws.s3: buckets, and the settings of one that are resources of their own. */

import type {
  LifecycleRule,
  S3Client,
  ServerSideEncryptionRule,
} from "@aws-sdk/client-s3";
import type { ResourceKind } from "../resourceKind.ts";
import {
  isList,
  isObject,
  type Properties,
  unknown,
  type Value,
} from "../values.ts";
import type { AwsCloud } from "./cloud.ts";
import { told, unlessGone } from "./failures.ts";
import { shapes } from "./shapes.ts";
import { listedTags, tagsOf } from "./tags.ts";

const goneBucket = ["NoSuchBucket", "NotFound"];

/** Names of buckets, as S3 documents them; dots, which it discourages, aside. */
const namePattern = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

/** What of a bucket has resources of its own; S3 decides it otherwise. */
const bucketSettings = [
  ...["accelerationStatus", "acl", "bucketNamespace", "bucketPrefix"],
  ...["corsRules", "grants", "lifecycleRules", "logging", "policy", "region"],
  ...["objectLockConfiguration", "objectLockEnabled", "requestPayer"],
  ...["replicationConfiguration", "serverSideEncryptionConfiguration"],
  ...["versioning", "website"],
];

export const bucketKind: ResourceKind<AwsCloud> = {
  shape: shapes.ofResource("s3/bucket", "Bucket"),
  defaults: { forceDestroy: false },
  nameProperty: "bucket",
  updatable: new Set(["forceDestroy", "tags"]),
  computed: new Set(bucketSettings),
  outputs: [
    ...["arn", "bucketDomainName", "bucketRegion", "bucketRegionalDomainName"],
    ...["hostedZoneId", "tagsAll"],
  ],
  unread: new Set(["forceDestroy"]),

  check({ bucket }) {
    if (bucket === unknown || namePattern.test(String(bucket))) return [];
    return [
      {
        property: "bucket",
        reason: `validating S3 Bucket (${bucket}) name: only lowercase alphanumeric characters and hyphens allowed, 3 to 63 of them`,
      },
    ];
  },

  async create(cloud, inputs) {
    const region = inputs.region as string;
    const bucket = inputs.bucket as string;
    const s3 = await cloud.s3(region);
    const { CreateBucketCommand, PutBucketTaggingCommand } = await import(
      "@aws-sdk/client-s3"
    );
    await told(`creating S3 Bucket (${bucket})`, "S3: CreateBucket", () =>
      s3.send(
        new CreateBucketCommand({
          Bucket: bucket,
          ...(region === "us-east-1"
            ? {}
            : {
                CreateBucketConfiguration: {
                  LocationConstraint: region as "eu-central-1",
                },
              }),
        }),
      ),
    );
    const tags = listedTags(inputs);
    if (tags.length > 0) {
      await s3.send(
        new PutBucketTaggingCommand({
          Bucket: bucket,
          Tagging: { TagSet: tags },
        }),
      );
    }
    const outputs = await bucketKind.read(cloud, bucket, inputs);
    return { id: bucket, outputs: outputs ?? {} };
  },

  async read(cloud, id, known) {
    const region = (known.region as string) ?? cloud.region;
    const s3 = await cloud.s3(region);
    const { GetBucketTaggingCommand, HeadBucketCommand } = await import(
      "@aws-sdk/client-s3"
    );
    const found = await unlessGone(
      goneBucket,
      s3.send(new HeadBucketCommand({ Bucket: id })),
    );
    if (found === undefined) return undefined;
    const tagging = await unlessGone(
      ["NoSuchTagSet"],
      s3.send(new GetBucketTaggingCommand({ Bucket: id })),
    );
    const tags = tagsOf(tagging?.TagSet);
    return {
      arn: `arn:aws:s3:::${id}`,
      bucket: id,
      bucketDomainName: `${id}.s3.amazonaws.com`,
      bucketRegion: region,
      bucketRegionalDomainName: `${id}.s3.${region}.amazonaws.com`,
      region,
      tags,
      tagsAll: tags,
    };
  },

  async update(cloud, id, olds, news) {
    const s3 = await cloud.s3(news.region as string);
    const { DeleteBucketTaggingCommand, PutBucketTaggingCommand } =
      await import("@aws-sdk/client-s3");
    const tags = listedTags(news);
    if (tags.length > 0) {
      await s3.send(
        new PutBucketTaggingCommand({ Bucket: id, Tagging: { TagSet: tags } }),
      );
    } else if (listedTags(olds).length > 0) {
      await s3.send(new DeleteBucketTaggingCommand({ Bucket: id }));
    }
    return (await bucketKind.read(cloud, id, news)) ?? {};
  },

  async delete(cloud, id, outputs) {
    const s3 = await cloud.s3(outputs.region as string);
    const { DeleteBucketCommand } = await import("@aws-sdk/client-s3");
    await told(`deleting S3 Bucket (${id})`, "S3: DeleteBucket", () =>
      unlessGone(goneBucket, s3.send(new DeleteBucketCommand({ Bucket: id }))),
    );
  },
};

/** A setting of a bucket, as S3 keeps it. */
interface Setting {
  readonly type: string;
  readonly put: (s3: S3Client, Bucket: string, inputs: Properties) => unknown;
  /** The inputs that would make it what it is; `undefined` where it is not set. */
  readonly get: (
    s3: S3Client,
    Bucket: string,
  ) => Promise<Properties | undefined>;
  readonly remove: (s3: S3Client, Bucket: string) => unknown;
  readonly same?: Readonly<
    Record<string, (old: Value, wanted: Value) => boolean>
  >;
}

function settingKind(setting: Setting): ResourceKind<AwsCloud> {
  const { type, put, get, remove, same } = setting;
  const module = `s3/${type.slice(0, 1).toLowerCase()}${type.slice(1)}`;
  const shape = shapes.ofResource(module, type);
  const fixed = ["bucket", "region", "expectedBucketOwner"];
  const kind: ResourceKind<AwsCloud> = {
    shape,
    updatable: new Set(
      [...shape.keys()].filter((name) => !fixed.includes(name)),
    ),
    computed: new Set(["region", "transitionDefaultMinimumObjectSize"]),
    outputs: [],
    unread: new Set(["expectedBucketOwner", "skipDestroy", "mfa"]),
    ...(same === undefined ? {} : { same }),

    async create(cloud, inputs) {
      const bucket = inputs.bucket as string;
      const s3 = await cloud.s3(inputs.region as string);
      await told(
        `creating S3 ${type} (${bucket})`,
        `S3: Put${type}`,
        async () => put(s3, bucket, inputs),
      );
      const outputs = await kind.read(cloud, bucket, inputs);
      return { id: bucket, outputs: outputs ?? {} };
    },

    async read(cloud, id, known) {
      const region = (known.region as string) ?? cloud.region;
      const found = await unlessGone(
        goneBucket,
        get(await cloud.s3(region), id),
      );
      if (found === undefined) return undefined;
      return { ...found, bucket: id, region };
    },

    async update(cloud, id, _olds, news) {
      await put(await cloud.s3(news.region as string), id, news);
      return (await kind.read(cloud, id, news)) ?? {};
    },

    async delete(cloud, id, outputs) {
      const s3 = await cloud.s3(outputs.region as string);
      await unlessGone(goneBucket, Promise.resolve(remove(s3, id)));
    },
  };
  return kind;
}

/** Policies say the same when their JSON does. */
export function sameJson(old: Value, wanted: Value): boolean {
  try {
    return (
      JSON.stringify(JSON.parse(String(old))) ===
      JSON.stringify(JSON.parse(String(wanted)))
    );
  } catch {
    return old === wanted;
  }
}

const sdk = () => import("@aws-sdk/client-s3");

function objects(value: Value | undefined): readonly Properties[] {
  return isList(value) ? value.filter(isObject) : [];
}

const settings: readonly Setting[] = [
  {
    type: "BucketVersioning",
    async put(s3, Bucket, { versioningConfiguration }) {
      const { PutBucketVersioningCommand } = await sdk();
      const { status } = versioningConfiguration as { status: "Enabled" };
      const VersioningConfiguration = { Status: status };
      await s3.send(
        new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }),
      );
    },
    async get(s3, Bucket) {
      const { GetBucketVersioningCommand } = await sdk();
      const { Status } = await s3.send(
        new GetBucketVersioningCommand({ Bucket }),
      );
      if (Status === undefined) return undefined;
      return { versioningConfiguration: { status: Status } };
    },
    async remove(s3, Bucket) {
      const { PutBucketVersioningCommand } = await sdk();
      const VersioningConfiguration = { Status: "Suspended" } as const;
      await s3.send(
        new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }),
      );
    },
  },
  {
    type: "BucketPublicAccessBlock",
    async put(s3, Bucket, inputs) {
      const { PutPublicAccessBlockCommand } = await sdk();
      const PublicAccessBlockConfiguration = {
        BlockPublicAcls: inputs.blockPublicAcls === true,
        BlockPublicPolicy: inputs.blockPublicPolicy === true,
        IgnorePublicAcls: inputs.ignorePublicAcls === true,
        RestrictPublicBuckets: inputs.restrictPublicBuckets === true,
      };
      await s3.send(
        new PutPublicAccessBlockCommand({
          Bucket,
          PublicAccessBlockConfiguration,
        }),
      );
    },
    async get(s3, Bucket) {
      const { GetPublicAccessBlockCommand } = await sdk();
      const found = await unlessGone(
        ["NoSuchPublicAccessBlockConfiguration"],
        s3.send(new GetPublicAccessBlockCommand({ Bucket })),
      );
      const block = found?.PublicAccessBlockConfiguration;
      if (block === undefined) return undefined;
      return {
        blockPublicAcls: block.BlockPublicAcls,
        blockPublicPolicy: block.BlockPublicPolicy,
        ignorePublicAcls: block.IgnorePublicAcls,
        restrictPublicBuckets: block.RestrictPublicBuckets,
      };
    },
    async remove(s3, Bucket) {
      const { DeletePublicAccessBlockCommand } = await sdk();
      await s3.send(new DeletePublicAccessBlockCommand({ Bucket }));
    },
  },
  {
    type: "BucketPolicy",
    same: { policy: sameJson },
    async put(s3, Bucket, { policy }) {
      const { PutBucketPolicyCommand } = await sdk();
      await s3.send(
        new PutBucketPolicyCommand({ Bucket, Policy: policy as string }),
      );
    },
    async get(s3, Bucket) {
      const { GetBucketPolicyCommand } = await sdk();
      const found = await unlessGone(
        ["NoSuchBucketPolicy"],
        s3.send(new GetBucketPolicyCommand({ Bucket })),
      );
      return found && { policy: found.Policy };
    },
    async remove(s3, Bucket) {
      const { DeleteBucketPolicyCommand } = await sdk();
      await s3.send(new DeleteBucketPolicyCommand({ Bucket }));
    },
  },
  {
    type: "BucketOwnershipControls",
    async put(s3, Bucket, { rule }) {
      const { PutBucketOwnershipControlsCommand } = await sdk();
      const { objectOwnership } = rule as {
        objectOwnership: "BucketOwnerEnforced";
      };
      await s3.send(
        new PutBucketOwnershipControlsCommand({
          Bucket,
          OwnershipControls: { Rules: [{ ObjectOwnership: objectOwnership }] },
        }),
      );
    },
    async get(s3, Bucket) {
      const { GetBucketOwnershipControlsCommand } = await sdk();
      const found = await unlessGone(
        ["OwnershipControlsNotFoundError"],
        s3.send(new GetBucketOwnershipControlsCommand({ Bucket })),
      );
      const [rule] = found?.OwnershipControls?.Rules ?? [];
      return rule && { rule: { objectOwnership: rule.ObjectOwnership } };
    },
    async remove(s3, Bucket) {
      const { DeleteBucketOwnershipControlsCommand } = await sdk();
      await s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket }));
    },
  },
  {
    type: "BucketServerSideEncryptionConfiguration",
    async put(s3, Bucket, { rules }) {
      const { PutBucketEncryptionCommand } = await sdk();
      const Rules = objects(rules).map((rule): ServerSideEncryptionRule => {
        const given = rule.applyServerSideEncryptionByDefault as Properties;
        return {
          BucketKeyEnabled: rule.bucketKeyEnabled === true,
          ApplyServerSideEncryptionByDefault: {
            SSEAlgorithm: given.sseAlgorithm as "AES256",
            KMSMasterKeyID: given.kmsMasterKeyId as string | undefined,
          },
        };
      });
      await s3.send(
        new PutBucketEncryptionCommand({
          Bucket,
          ServerSideEncryptionConfiguration: { Rules },
        }),
      );
    },
    async get(s3, Bucket) {
      const { GetBucketEncryptionCommand } = await sdk();
      const found = await unlessGone(
        ["ServerSideEncryptionConfigurationNotFoundError"],
        s3.send(new GetBucketEncryptionCommand({ Bucket })),
      );
      const rules = found?.ServerSideEncryptionConfiguration?.Rules?.map(
        ({
          BucketKeyEnabled,
          ApplyServerSideEncryptionByDefault: given,
        }): Properties => ({
          bucketKeyEnabled: BucketKeyEnabled,
          applyServerSideEncryptionByDefault: {
            sseAlgorithm: given?.SSEAlgorithm,
            kmsMasterKeyId: given?.KMSMasterKeyID,
          },
        }),
      );
      return rules && { rules };
    },
    async remove(s3, Bucket) {
      const { DeleteBucketEncryptionCommand } = await sdk();
      await s3.send(new DeleteBucketEncryptionCommand({ Bucket }));
    },
  },
  {
    type: "BucketLifecycleConfiguration",
    async put(s3, Bucket, { rules }) {
      const { PutBucketLifecycleConfigurationCommand } = await sdk();
      const Rules = objects(rules).map(lifecycleRule);
      await s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket,
          LifecycleConfiguration: { Rules },
        }),
      );
    },
    async get(s3, Bucket) {
      const { GetBucketLifecycleConfigurationCommand } = await sdk();
      const found = await unlessGone(
        ["NoSuchLifecycleConfiguration"],
        s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
      );
      return found && { rules: (found.Rules ?? []).map(lifecycleInputs) };
    },
    async remove(s3, Bucket) {
      const { DeleteBucketLifecycleCommand } = await sdk();
      await s3.send(new DeleteBucketLifecycleCommand({ Bucket }));
    },
  },
];

/** Of rules this knows what this project declares; a rule that says more is refused. */
function lifecycleRule(rule: Properties): LifecycleRule {
  const { id, status, filter, ...rest } = rule as {
    id: string;
    status: "Enabled";
    filter?: { prefix?: string };
  } & Properties;
  const {
    abortIncompleteMultipartUpload: abort,
    noncurrentVersionExpiration: noncurrent,
    expiration,
    ...more
  } = rest as {
    abortIncompleteMultipartUpload?: { daysAfterInitiation: number };
    noncurrentVersionExpiration?: { noncurrentDays: number };
    expiration?: { expiredObjectDeleteMarker: boolean };
  };
  if (Object.keys(more).length > 0) {
    throw new Error(
      `The stand-in knows no ${Object.keys(more).join(", ")} in rules of lifecycles.`,
    );
  }
  return {
    ID: id,
    Status: status,
    Filter: { Prefix: filter?.prefix ?? "" },
    ...(abort === undefined
      ? {}
      : {
          AbortIncompleteMultipartUpload: {
            DaysAfterInitiation: abort.daysAfterInitiation,
          },
        }),
    ...(noncurrent === undefined
      ? {}
      : {
          NoncurrentVersionExpiration: {
            NoncurrentDays: noncurrent.noncurrentDays,
          },
        }),
    ...(expiration === undefined
      ? {}
      : {
          Expiration: {
            ExpiredObjectDeleteMarker: expiration.expiredObjectDeleteMarker,
          },
        }),
  };
}

function lifecycleInputs(rule: LifecycleRule): Properties {
  return {
    id: rule.ID,
    status: rule.Status,
    filter: { prefix: rule.Filter?.Prefix ?? "" },
    ...(rule.AbortIncompleteMultipartUpload === undefined
      ? {}
      : {
          abortIncompleteMultipartUpload: {
            daysAfterInitiation:
              rule.AbortIncompleteMultipartUpload.DaysAfterInitiation,
          },
        }),
    ...(rule.NoncurrentVersionExpiration === undefined
      ? {}
      : {
          noncurrentVersionExpiration: {
            noncurrentDays: rule.NoncurrentVersionExpiration.NoncurrentDays,
          },
        }),
    ...(rule.Expiration === undefined
      ? {}
      : {
          expiration: {
            expiredObjectDeleteMarker:
              rule.Expiration.ExpiredObjectDeleteMarker,
          },
        }),
  };
}

/** By type token. */
export const bucketKinds: ReadonlyMap<string, ResourceKind<AwsCloud>> = new Map(
  [
    ["aws:s3/bucket:Bucket", bucketKind],
    ...settings.map((setting): [string, ResourceKind<AwsCloud>] => {
      const { type } = setting;
      const file = `${type.slice(0, 1).toLowerCase()}${type.slice(1)}`;
      return [`aws:s3/${file}:${type}`, settingKind(setting)];
    }),
  ],
);
