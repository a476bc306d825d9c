/** What a schema found wrong, in words. Pure. */

import type { z } from "zod";

/** One sentence that begins with the field. */
export function describeIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path
    .map((part) =>
      typeof part === "number" ? `[${part}]` : `.${String(part)}`,
    )
    .join("")
    .replace(/^\./, "");
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.map((key) => (field ? `${field}.${key}` : key));
    return `${names.join(", ")}: no such field.`;
  }
  return `${field || "the whole"}: ${issue.message.replace(/\.?$/, ".")}`;
}
