/** What a stack's configuration says of its store. */

import { z } from "zod";
import { awsAccessSchema } from "../aws/access.ts";
import { isSafeName } from "./names.ts";

/** Which bucket, where in it, and how it is reached. */
export const s3StoreConfigSchema = awsAccessSchema.extend({
  bucket: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      "must be the name of a bucket: lower-case letters, digits, hyphens and dots",
    ),
  prefix: z
    .string()
    .refine(isSafeName, "must be a path without a slash at either end")
    .optional()
    .describe("Where in the bucket; all of it when left out"),
});
export type S3StoreConfig = Readonly<z.output<typeof s3StoreConfigSchema>>;

export const storeConfigSchema = z
  .strictObject({
    directory: z
      .string()
      .min(1)
      .regex(/^[^\0\n]+$/, "must be a path")
      // An address that begins so is a bucket's.
      .refine(
        (path) => !path.startsWith("s3://"),
        "must be a path; a bucket is `s3`, with its name and region",
      )
      .optional(),
    s3: s3StoreConfigSchema.optional(),
  })
  .refine(
    ({ directory, s3 }) => (directory === undefined) !== (s3 === undefined),
    "must have either a directory or s3, one of both",
  )
  .transform((config) => config as StoreConfig)
  .describe("Where artifacts and records are kept");

/** A directory, or a bucket. */
export type StoreConfig =
  | { readonly directory: string; readonly s3?: undefined }
  | { readonly directory?: undefined; readonly s3: S3StoreConfig };
