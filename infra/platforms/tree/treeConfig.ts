/** What every published tree has in a stack's configuration. */

import { z } from "zod";
import { type Format, formats } from "../../store/records.ts";

/** Each format once, in the order of {@link formats}. */
export const publishedFormatsSchema = z
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
  .describe("The forms in which each image is published");
