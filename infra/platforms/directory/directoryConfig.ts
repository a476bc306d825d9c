/** The directory in a stack's configuration. */

import { z } from "zod";
import { type Format, formats } from "../../store/records.ts";

/** What a stack's configuration says under `directory`. */
export const directoryConfigSchema = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .regex(/^[^\0\n]+$/, "must be a path"),
    formats: z
      .array(
        z.enum(formats, {
          error: `must be one of ${formats.join(", ")}`,
        }),
      )
      .min(1)
      .default(["tar.zst", "qcow2"])
      // Another order is no change.
      .transform((names): Format[] =>
        formats.filter((each) => names.includes(each)),
      )
      .describe("The forms in which each image is published"),
  })
  .describe("The published tree, for a web server");
export type DirectoryConfig = z.output<typeof directoryConfigSchema>;
