/** What a stack's configuration says of its store. */

import { z } from "zod";
import {
  type S3Place,
  s3Addresses,
  s3PlaceSchema,
} from "../aws/bucketAddress.ts";

export const storeConfigSchema = z
  .strictObject({
    directory: z
      .string()
      .min(1)
      .regex(/^[^\0\n]+$/, "must be a path")
      .refine(
        (path) => !s3Addresses.is(path),
        "must be a path; a bucket is `s3`, with its name and region",
      )
      .optional(),
    s3: s3PlaceSchema.optional(),
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
  | { readonly directory?: undefined; readonly s3: S3Place };
