import type { Provider } from "@pulumi/aws/provider.js";
import { Bucket } from "@pulumi/aws/s3/bucket.js";
import { BucketLifecycleConfiguration } from "@pulumi/aws/s3/bucketLifecycleConfiguration.js";
import { BucketOwnershipControls } from "@pulumi/aws/s3/bucketOwnershipControls.js";
import { BucketPolicy } from "@pulumi/aws/s3/bucketPolicy.js";
import { BucketPublicAccessBlock } from "@pulumi/aws/s3/bucketPublicAccessBlock.js";
import { BucketServerSideEncryptionConfiguration } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js";
import { BucketVersioning } from "@pulumi/aws/s3/bucketVersioning.js";
import * as pulumi from "@pulumi/pulumi";
import type { AccountBucketConfig } from "./accountConfig.ts";
import { bucketPolicy } from "./bucketPolicy.ts";

/** The bucket, and who reaches it. */
export interface AccountBucketArgs {
  readonly config: AccountBucketConfig;
  readonly provider: Provider;
}

/**
 * A bucket for a store or a published tree. Nothing in it is public; it keeps for a while what is overwritten or deleted,
 * and neither a `destroy` nor a changed name can take it away.
 */
export class AccountBucket extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;

  constructor(
    name: string,
    { config, provider }: AccountBucketArgs,
    options: pulumi.ComponentResourceOptions,
  ) {
    super("cloud-images:aws:AccountBucket", name, {}, options);
    const child = { parent: this, provider };
    const bucket = new Bucket(
      name,
      { bucket: config.name, forceDestroy: false },
      { ...child, protect: true },
    );
    const settings = { bucket: bucket.id };
    new BucketOwnershipControls(
      `${name}-ownership`,
      // No access lists: policies alone decide.
      { ...settings, rule: { objectOwnership: "BucketOwnerEnforced" } },
      child,
    );
    const closed = new BucketPublicAccessBlock(
      `${name}-public-access`,
      {
        ...settings,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      child,
    );
    new BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      {
        ...settings,
        rules: [
          { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } },
        ],
      },
      child,
    );
    const versioning = new BucketVersioning(
      `${name}-versioning`,
      { ...settings, versioningConfiguration: { status: "Enabled" } },
      child,
    );
    new BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      { ...settings, rules: lifecycleRules(config) },
      // S3 takes rules for old versions only once there can be some.
      { ...child, dependsOn: [versioning] },
    );
    const policy = bucket.arn.apply((bucketArn) =>
      JSON.stringify(bucketPolicy({ bucketArn, published: config.published })),
    );
    new BucketPolicy(
      `${name}-policy`,
      { ...settings, policy },
      // S3 answers with a conflict when both change at once.
      { ...child, dependsOn: [closed] },
    );
    this.arn = bucket.arn;
    this.registerOutputs({ arn: bucket.arn });
  }
}

function lifecycleRules({
  abandonedUploadDays,
  oldVersionDays,
}: AccountBucketConfig) {
  const everywhere = { status: "Enabled", filter: { prefix: "" } };
  return [
    {
      ...everywhere,
      id: "abandoned-uploads",
      abortIncompleteMultipartUpload: {
        daysAfterInitiation: abandonedUploadDays,
      },
    },
    {
      ...everywhere,
      id: "old-versions",
      noncurrentVersionExpiration: { noncurrentDays: oldVersionDays },
      // A mark of deletion with nothing behind it.
      expiration: { expiredObjectDeleteMarker: true },
    },
  ];
}
