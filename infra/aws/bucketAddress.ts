/** A place in a bucket of S3, and how it is reached. Pure. */

import { z } from "zod";
import { PlaceAddresses, prefixSchema } from "../store/placeAddress.ts";
import { awsAccessSchema } from "./access.ts";

/**
 * A bucket's name. The rules: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
export const bucketNameSchema = z
  .string()
  .regex(
    /^(?!(\d+\.){3}\d+$)(?!xn--|sthree-|amzn-s3-demo-)(?!.*\.\.)(?!.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    "must be the name of a bucket: 3 to 63 lower-case letters, digits, hyphens and single dots, and none that S3 keeps for itself",
  );

/** Which bucket, where in it, and how it is reached. */
export const s3PlaceSchema = awsAccessSchema.extend({
  bucket: bucketNameSchema,
  prefix: prefixSchema,
});
export type S3Place = Readonly<z.output<typeof s3PlaceSchema>>;

/** `s3://bucket/prefix?region=…` */
export const s3Addresses = new PlaceAddresses<S3Place>(
  "s3://",
  ["bucket"],
  s3PlaceSchema,
);
