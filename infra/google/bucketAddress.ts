/** A place in a bucket of Cloud Storage, and how it is reached. Pure. */

import type { z } from "zod";
import { PlaceAddresses, prefixSchema } from "../store/placeAddress.ts";
import { bucketNameSchema, googleLoginSchema } from "./access.ts";

/** Which bucket, where in it, and how it is reached. */
export const gcsPlaceSchema = googleLoginSchema.extend({
  bucket: bucketNameSchema,
  prefix: prefixSchema,
});
export type GcsPlace = Readonly<z.output<typeof gcsPlaceSchema>>;

/** `gs://bucket/prefix?serviceAccount=…` */
export const gcsAddresses = new PlaceAddresses<GcsPlace>(
  "gs://",
  ["bucket"],
  gcsPlaceSchema,
);
