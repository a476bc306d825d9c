/** Compute Engine in a stack's configuration. */

import { z } from "zod";
import { namePatternSchema } from "../../definitions/namePattern.ts";
import {
  bucketNameSchema,
  type GoogleAccess,
  googleAccessSchema,
} from "../../google/access.ts";
import { placeNameSchema } from "../../store/records.ts";
import { guestFeatures, ownPrefix } from "./gceNames.ts";

/** Who may use an image besides its project (IAM, principal identifiers). */
const memberSchema = z
  .string()
  .regex(
    /^((user|group|serviceAccount):[^\s@:]+@[^\s@:]+|domain:[a-z0-9.-]+|principal(Set)?:\/\/iam\.googleapis\.com\/\S+)$/,
    "must be a principal, such as group:team@example.com or serviceAccount:…",
  );

const shareSchema = z
  .union(
    [
      z.enum(["private", "public"]),
      z.strictObject({
        members: z
          .array(memberSchema)
          .min(1)
          .transform((members) => [...new Set(members)].toSorted()),
      }),
    ],
    "must be private, public, or have members",
  )
  .default("private")
  .describe("Who may use the images; public is every Google account");

const targetSchema = googleAccessSchema.extend({
  bucket: bucketNameSchema.describe(
    "Where the disk waits while an image is made from it",
  ),
  prefix: z
    .string()
    .regex(
      /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/,
      "must be the beginning of objects' names, without a slash at its ends",
    )
    .default("cloud-images")
    .describe("What the names of objects in the bucket begin with"),
  storageLocation: z
    .string()
    .regex(
      /^(us|eu|asia|[a-z]+-[a-z]+[0-9]+)$/,
      "must be us, eu, asia, or the name of a region, such as europe-west3",
    )
    .optional()
    .describe(
      "Where the images are kept; the multi-region closest to the bucket when left out",
    ),
  share: shareSchema,
  uploads: z
    .int()
    .positive()
    .max(20)
    .default(2)
    .describe("How many images are sent to the project and made there at once"),
});

/** Keys and values of labels, as Compute Engine takes them (labels, requirements). */
const labelKeySchema = z
  .string()
  .regex(
    /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u,
    "must be a label's key: a lower-case letter, then those, digits, _ and -, 63 at most",
  )
  .refine(
    (key) => !key.startsWith(ownPrefix) && !key.startsWith("goog"),
    `cannot begin with ${ownPrefix} or goog`,
  );
const labelValueSchema = z
  .string()
  .regex(
    /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u,
    "must be a label's value: lower-case letters, digits, _ and -, 63 at most",
  );

export const gceConfigSchema = z
  .strictObject({
    definitions: z
      .array(namePatternSchema)
      .min(1)
      .default(["*-gce-*"])
      .describe("Which of the stack's images go to Compute Engine"),
    targets: z
      .record(placeNameSchema, targetSchema)
      .refine(
        (targets) => Object.keys(targets).length > 0,
        "must name a target",
      )
      .describe("Projects, each by a name of your choice"),
    familyPrefix: z
      .string()
      .regex(
        /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/,
        "must be lower-case letters, digits and hyphens, 30 at most, and begin with a letter",
      )
      .optional()
      .describe("What the names of image families begin with"),
    guestOsFeatures: z
      .array(z.enum(guestFeatures))
      .transform((features) => [...new Set(features)].toSorted())
      .optional()
      .describe("What machines are told that the images can, beside UEFI"),
    licenses: z
      .array(
        z
          .string()
          .regex(
            /^(https:\/\/www\.googleapis\.com\/compute\/v1\/)?projects\/[a-z0-9.:-]+\/global\/licenses\/[a-z0-9-]+$/,
            "must be a licence: projects/…/global/licenses/…",
          ),
      )
      .default([])
      .describe("Licences that the images carry"),
    labels: z
      .record(labelKeySchema, labelValueSchema)
      // A resource has 64 at most, ours among them.
      .refine((labels) => Object.keys(labels).length <= 50, "are too many: 50")
      .default({})
      .describe("Labels of your own, besides ours"),
  })
  .superRefine(({ targets }, context) => {
    const seen = new Map<string, string>();
    for (const [name, { project, endpoint }] of Object.entries(targets)) {
      const place = JSON.stringify([project, endpoint]);
      const same = seen.get(place);
      if (same !== undefined) {
        context.addIssue({
          code: "custom",
          path: ["targets", name, "project"],
          message: `must not be that of ${same}: the images would have the same names`,
        });
      }
      seen.set(place, name);
    }
  })
  .describe("Images in projects of Google Cloud");
export type GceConfig = z.output<typeof gceConfigSchema>;
export type GceTarget = z.output<typeof targetSchema>;

/** How a target's project is reached. */
export function accessOf({
  project,
  serviceAccount,
  endpoint,
}: GceTarget): GoogleAccess {
  return {
    project,
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

/** Principals that may use the images besides those of the project. */
export function membersOf({ share }: GceTarget): readonly string[] {
  if (share === "private") return [];
  return share === "public" ? ["allAuthenticatedUsers"] : share.members;
}
