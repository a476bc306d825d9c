/** What a stack's configuration says of its store. */

import { z } from "zod";
import { type S3Place, s3PlaceSchema } from "../aws/bucketAddress.ts";
import { type BlobPlace, blobPlaceSchema } from "../azure/blobAddress.ts";
import { type GcsPlace, gcsPlaceSchema } from "../google/bucketAddress.ts";

/** A directory, or a bucket of one of the services. */
export type StoreConfig =
  | { readonly directory: string }
  | { readonly s3: S3Place }
  | { readonly gcs: GcsPlace }
  | { readonly azureBlob: BlobPlace };

export const storeConfigSchema = z
  .strictObject({
    directory: z
      .string()
      .min(1)
      .regex(/^[^\0\n]+$/, "must be a path")
      .refine(
        (path) => !/^[a-z0-9]+:\/\//.test(path),
        "must be a path; a bucket is `s3`, `gcs` or `azureBlob`, with its name",
      )
      .optional(),
    s3: s3PlaceSchema.optional(),
    gcs: gcsPlaceSchema.optional(),
    azureBlob: blobPlaceSchema.optional(),
  })
  .refine(
    (config) => Object.values(config).length === 1,
    "must have one of directory, s3, gcs and azureBlob",
  )
  .transform((config) => config as StoreConfig)
  .describe("Where artifacts and records are kept");
