/** EC2 in a stack's configuration. */

import { z } from "zod";
import { type AwsAccess, awsAccessSchema } from "../../aws/access.ts";
import { namePatternSchema } from "../../definitions/namePattern.ts";
import { placeNameSchema } from "../../store/records.ts";

const accountSchema = awsAccessSchema.shape.account.unwrap();

function eachOnce(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}

/** Who may launch an AMI besides its owner. */
const shareSchema = z
  .union(
    [
      z.enum(["private", "public"]),
      z
        .strictObject({
          accounts: z.array(accountSchema).default([]).transform(eachOnce),
          organizations: z
            .array(
              z
                .string()
                .regex(
                  /^arn:aws[a-z-]*:organizations::[0-9]{12}:(organization|ou)\/[a-z0-9/-]+$/,
                  "must be the ARN of an organization or of a unit of one",
                ),
            )
            .default([])
            .transform(eachOnce),
        })
        .refine(
          ({ accounts, organizations }) =>
            accounts.length + organizations.length > 0,
          "must name an account or an organization",
        ),
    ],
    "must be private, public, or have accounts and organizations",
  )
  .default("private")
  .describe("Who may launch the AMIs");

const targetSchema = awsAccessSchema.extend({
  method: z
    .enum(["ebs-direct", "volume"])
    .default("ebs-direct")
    .describe(
      "How the disk gets into a snapshot: by the EBS direct APIs, or by a volume on the instance that runs this",
    ),
  copyFrom: placeNameSchema
    .optional()
    .describe(
      "Another target, whose AMI is copied by EC2 instead of uploading the disk once more",
    ),
  encryption: z
    .strictObject({
      kmsKey: z
        .string()
        .regex(
          /^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[\w-]+$/,
          "must be the ARN of a key",
        )
        .optional()
        .describe("The account's own key for EBS when left out"),
    })
    .optional()
    .describe("Encrypts the snapshots; encrypted AMIs cannot be public"),
  share: shareSchema,
  uploads: z
    .int()
    .positive()
    .max(20)
    .default(2)
    .describe("How many disks are sent to the region and read back at once"),
});

export const ec2ConfigSchema = z
  .strictObject({
    definitions: z
      .array(namePatternSchema)
      .min(1)
      .default(["*-ec2-*"])
      .describe("Which of the stack's images become AMIs"),
    targets: z
      .record(placeNameSchema, targetSchema)
      .refine(
        (targets) => Object.keys(targets).length > 0,
        "must name a target",
      )
      .describe("Regions and accounts, each by a name of your choice"),
    zeroBlocks: z
      .enum(["send", "skip"])
      .default("send")
      .describe(
        "Whether blocks of zeros inside data are uploaded; left out, they read back as garbage from encrypted volumes",
      ),
    readBack: z
      .union([z.literal("all"), z.strictObject({ blocks: z.int().positive() })])
      .default("all")
      .describe("How much of each snapshot is read again and compared"),
    deprecateAfterDays: z
      .int()
      .positive()
      // EC2 takes ten years at most.
      .max(3650)
      .default(730)
      .describe("When an AMI becomes deprecated, counted from its version"),
    tags: z
      .record(
        z
          .string()
          .regex(
            /^(?![aA][wW][sS]:|cloud-images:|Name$)[\p{L}\p{Z}\p{N}_.:/=+@-]{1,128}$/u,
            "must be a tag's name, which does not begin with aws: or cloud-images:",
          ),
        z
          .string()
          .regex(
            /^[\p{L}\p{Z}\p{N}_.:/=+@-]{0,256}$/u,
            "must be a tag's value, of 256 characters at most",
          ),
      )
      .default({})
      .describe("Tags of your own for snapshots and AMIs, besides ours"),
    parameters: z
      .string()
      .regex(
        /^(\/[\w.-]+)+$/,
        "must be the beginning of parameters' names, such as /cloud-images",
      )
      .optional()
      .describe(
        "Where Systems Manager has the newest AMIs; nowhere when left out",
      ),
  })
  .superRefine(({ targets, deprecateAfterDays }, context) => {
    const seen = new Map<string, string>();
    for (const [name, { copyFrom, encryption, share }] of Object.entries(
      targets,
    )) {
      const complain = (field: string, message: string) =>
        context.addIssue({
          code: "custom",
          path: ["targets", name, field],
          message,
        });
      const source = copyFrom === undefined ? undefined : targets[copyFrom];
      const { region, account, profile, assumeRole, endpoint } = targets[
        name
      ] as Ec2Target;
      const place = JSON.stringify([
        ...[region, account ?? [profile, assumeRole], endpoint],
      ]);
      const same = seen.get(place);
      if (same !== undefined) {
        complain(
          "region",
          `must not be that of ${same} in the same account, where the AMIs would have the same names`,
        );
      }
      seen.set(place, name);
      if (
        source?.account !== undefined &&
        account !== undefined &&
        source.account !== account
      ) {
        complain(
          "copyFrom",
          "must name a target in the same account: snapshots are not shared with others",
        );
      }
      if (source?.encryption !== undefined && share === "public") {
        complain("share", "cannot be public: what is copied is encrypted");
      }
      if (share === "public" && deprecateAfterDays > 730) {
        complain(
          "share",
          "cannot be public with more than 730 deprecateAfterDays",
        );
      }
      if (copyFrom === name || (copyFrom !== undefined && !source)) {
        complain("copyFrom", "must name another target");
      } else if (source?.copyFrom !== undefined) {
        complain("copyFrom", `must not name ${copyFrom}, which is a copy`);
      }
      if (encryption !== undefined && share === "public") {
        complain("share", "cannot be public: the AMIs are encrypted");
      }
    }
  })
  .describe("AMIs in regions and accounts of EC2");
export type Ec2Config = z.output<typeof ec2ConfigSchema>;
export type Ec2Target = z.output<typeof targetSchema>;
/** Who may launch an AMI besides its owner. */
export type Share = z.output<typeof shareSchema>;

/** How a target's region is reached. */
export function accessOf({
  region,
  account,
  profile,
  assumeRole,
  endpoint,
}: Ec2Target): AwsAccess {
  return {
    region,
    ...(account === undefined ? {} : { account }),
    ...(profile === undefined ? {} : { profile }),
    ...(assumeRole === undefined ? {} : { assumeRole }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}
