/** What a stack's configuration says of its store. */

import { z } from "zod";

export const storeConfigSchema = z
  .strictObject({
    directory: z
      .string()
      .min(1)
      .regex(/^[^\0\n]+$/, "must be a path"),
  })
  .describe("Where artifacts and records are kept");
export type StoreConfig = z.output<typeof storeConfigSchema>;
