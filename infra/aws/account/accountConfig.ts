/** An AWS account in a stack's configuration: what it needs before anything can be published to it. */

import { z } from "zod";
import { prefixSchema } from "../../store/placeAddress.ts";
import { awsAccessSchema } from "../access.ts";
import { bucketNameSchema } from "../bucketAddress.ts";

const regionSchema = awsAccessSchema.shape.region;

/** Days: an upload takes hours at most, and somebody notices within a month that something is missing. */
const defaults = { abandonedUploads: 3, oldVersions: 30 } as const;

const bucketSchema = z.strictObject({
  name: bucketNameSchema,
  prefix: prefixSchema.describe(
    "Where in the bucket the roles may work; in all of it else",
  ),
  published: z
    .strictObject({
      // Without one, CloudFront would show a store beside the tree as well.
      prefix: prefixSchema.unwrap().describe("Where in the bucket the tree is"),
      distributions: z
        .array(
          z
            .string()
            .regex(
              /^arn:aws[a-z-]*:cloudfront::[0-9]{12}:distribution\/[A-Z0-9]+$/,
              "must be the ARN of a distribution of CloudFront",
            ),
        )
        .min(1),
    })
    .optional()
    .describe("A published tree, and who may read it; nobody else can"),
  abandonedUploadDays: z
    .int()
    .positive()
    .default(defaults.abandonedUploads)
    .describe("When the parts of an upload that never ended are deleted"),
  oldVersionDays: z
    .int()
    .positive()
    .default(defaults.oldVersions)
    .describe("How long what was overwritten or deleted can be brought back"),
});
export type AccountBucketConfig = Readonly<z.output<typeof bucketSchema>>;

const gitlabSchema = z.strictObject({
  url: z
    .url({ protocol: /^https$/, error: "must be an https address" })
    .refine(
      (address) => !/[/?#@]$|[?#@]/.test(address),
      "must have no user name, query or slash at its end",
    )
    .default("https://gitlab.com"),
  project: z
    .string()
    .regex(
      /^[\w][\w.-]*(\/[\w][\w.-]*)+$/,
      "must be the path of a project, such as group/project",
    ),
  releaseRefs: z
    .array(
      z
        .string()
        .regex(
          /^[\w][\w./-]*$/,
          "must be the name of a branch, without wildcards",
        ),
    )
    .min(1)
    .describe("Protected branches whose jobs may publish"),
  audience: z
    .string()
    .min(1)
    .optional()
    .describe("What `aud` of the jobs' id_tokens says; the address else"),
});
export type GitlabTrustConfig = Readonly<z.output<typeof gitlabSchema>>;

export const accountConfigSchema = awsAccessSchema
  .extend({
    // A policy that names no account would hold in every one.
    account: awsAccessSchema.shape.account.unwrap(),
    stacks: z
      .array(
        z
          .string()
          .regex(
            /^[\w.-]+\/[\w.-]+\/[\w.-]+$/,
            "must be organization/project/stack",
          ),
      )
      .min(1)
      .describe("Stacks that publish here; what they make carries their names"),
    regions: z
      .array(regionSchema)
      .min(1)
      .optional()
      .describe("Where AMIs are published; the account's own region else"),
    parameters: z
      .string()
      .regex(
        /^(\/[\w.-]+)+$/,
        "must be the beginning of parameters' names, such as /cloud-images",
      )
      .optional()
      .describe("As in cloud-images:ec2"),
    methods: z
      .array(z.enum(["ebs-direct", "volume"]))
      .min(1)
      .default(["ebs-direct"])
      .describe("How disks get into snapshots"),
    kmsKeys: z
      .array(
        z
          .string()
          .regex(
            /^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[\w-]+$/,
            "must be the ARN of a key",
          ),
      )
      .default([])
      .describe("Keys that snapshots are encrypted with"),
    bucket: bucketSchema.optional(),
    gitlab: gitlabSchema.optional(),
  })
  .describe("The bucket and the roles of an AWS account");
export type AccountConfig = Readonly<z.output<typeof accountConfigSchema>>;
