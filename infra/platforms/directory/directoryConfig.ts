/** The directory in a stack's configuration. */

import { z } from "zod";
import { publishedFormatsSchema } from "../tree/treeConfig.ts";

/** What a stack's configuration says under `directory`. */
export const directoryConfigSchema = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .regex(/^[^\0\n]+$/, "must be a path"),
    formats: publishedFormatsSchema,
  })
  .describe("The published tree, for a web server");
export type DirectoryConfig = z.output<typeof directoryConfigSchema>;
