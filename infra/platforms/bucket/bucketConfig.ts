/** The bucket in a stack's configuration. */

import type { z } from "zod";
import { awsAccessSchema } from "../../aws/access.ts";
import { bucketNameSchema } from "../../aws/bucketAddress.ts";
import { prefixSchema } from "../../store/placeAddress.ts";
import { publishedFormatsSchema } from "../tree/treeConfig.ts";

/** What a stack's configuration says under `bucket`. */
export const bucketConfigSchema = awsAccessSchema
  .extend({
    name: bucketNameSchema,
    prefix: prefixSchema,
    formats: publishedFormatsSchema,
  })
  .describe("The published tree in a bucket, for whatever serves that");
export type BucketConfig = z.output<typeof bucketConfigSchema>;
