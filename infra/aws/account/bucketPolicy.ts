/** Who may read the bucket besides the account's own roles. Pure. */

import type { AccountBucketConfig } from "./accountConfig.ts";
import {
  type PolicyDocument,
  type PolicyStatement,
  policyDocument,
} from "./policyDocument.ts";

/** What a bucket's policy says. */
export interface BucketPolicyArgs {
  readonly bucketArn: string;
  /** Where in the bucket which distributions of CloudFront read, by origin access control. */
  readonly published?: AccountBucketConfig["published"];
}

/** Refuses connections without TLS to everybody, and lets the named distributions of CloudFront read the tree. */
export function bucketPolicy({
  bucketArn,
  published,
}: BucketPolicyArgs): PolicyDocument {
  const { prefix, distributions } = published ?? {};
  const reading: PolicyStatement = {
    Sid: "PublishByCloudFront",
    Effect: "Allow",
    Principal: { Service: "cloudfront.amazonaws.com" },
    Action: ["s3:GetObject"],
    Resource: [`${bucketArn}/${prefix}/*`],
    Condition: { StringEquals: { "aws:SourceArn": distributions ?? [] } },
  };
  return policyDocument([
    {
      Sid: "RefusePlainHttp",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:*"],
      Resource: [bucketArn, `${bucketArn}/*`],
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    published === undefined ? undefined : reading,
  ]);
}
