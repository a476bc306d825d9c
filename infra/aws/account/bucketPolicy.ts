/** Who may read the bucket besides the account's own roles. Pure. */

import {
  type PolicyDocument,
  type PolicyStatement,
  policyDocument,
} from "./policyDocument.ts";

/** What a bucket's policy says. */
export interface BucketPolicyArgs {
  readonly bucketArn: string;
  /** Where in the bucket CloudFront reads; everywhere when left out. */
  readonly prefix?: string | undefined;
  /** ARNs of distributions of CloudFront that read by origin access control. */
  readonly distributions: readonly string[];
}

/** Refuses connections without TLS to everybody, and lets the named distributions of CloudFront read. */
export function bucketPolicy({
  bucketArn,
  prefix,
  distributions,
}: BucketPolicyArgs): PolicyDocument {
  const objects = [bucketArn, ...(prefix === undefined ? [] : [prefix]), "*"];
  const reading: PolicyStatement = {
    Sid: "PublishByCloudFront",
    Effect: "Allow",
    Principal: { Service: "cloudfront.amazonaws.com" },
    Action: ["s3:GetObject"],
    Resource: [objects.join("/")],
    Condition: { StringEquals: { "aws:SourceArn": distributions } },
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
    distributions.length === 0 ? undefined : reading,
  ]);
}
