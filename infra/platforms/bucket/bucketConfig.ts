/** The bucket in a stack's configuration. */

import type { z } from "zod";
import { awsAccessSchema } from "../../aws/access.ts";
import {
  bucketNameSchema,
  bucketPrefixSchema,
} from "../../aws/bucketAddress.ts";
import { publishedFormatsSchema } from "../tree/treeConfig.ts";

/** What a stack's configuration says under `bucket`. */
export const bucketConfigSchema = awsAccessSchema
  .extend({
    name: bucketNameSchema,
    prefix: bucketPrefixSchema,
    formats: publishedFormatsSchema,
  })
  .describe("The published tree in a bucket, for whatever serves that");
export type BucketConfig = z.output<typeof bucketConfigSchema>;
