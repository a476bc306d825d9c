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
  // What is wrong with the name of an entry is said one level down.
  const { message } =
    issue.code === "invalid_key" ? (issue.issues[0] ?? issue) : issue;
  return `${field || "the whole"}: ${message.replace(/\.?$/, ".")}`;
}
