/**
 * What a preview comes to: all that a note on a merge request is made from, and no more. It goes from the job of a merge
 * request, whose program anybody may have changed, to one that has a token: so each field has its bounds.
 */

import { z } from "zod";
import { GitlabError, PreviewError } from "../errors.ts";

/** The form below. Another number is refused: both jobs run the same commit, or ones that are close. */
export const documentFormat = 1;

/** A document is refused beyond that: a preview of a thousand images in ten places takes a third of it. */
export const longestDocumentBytes = 4 * 1024 * 1024;

/** Files of the directory that a preview writes. */
export const previewFileName = "preview.json";
export const noteFileName = "note.md";

/** Messages, of the engine, the program and providers. */
export const mostProblems = 100;

const nameText = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,199}$/);
const keyText = z.string().regex(/^[0-9a-f]{12}$/);
const shortText = z.string().max(300);
const longText = z.string().max(20_000);
const amount = z.int().nonnegative();

/** What is the matter with a resource, or with what is made of several. */
const changeSchema = z.enum(["appears", "changes", "replaced", "goes"]);
export type Change = z.output<typeof changeSchema>;

const versionSchema = z.strictObject({
  definition: nameText,
  key: keyText,
  change: z.enum(["appears", "goes", "stays"]),
  /** Of the disk; what is stored is less. */
  sizeGiB: z.number().positive().max(100_000).optional(),
});

const publicationSchema = z.strictObject({
  definition: nameText,
  key: keyText,
  platform: z.string().regex(/^[a-z][a-z0-9]{0,39}$/),
  place: shortText.optional(),
  regions: z.array(shortText).max(200),
  change: changeSchema,
});

const explanationSchema = z.strictObject({
  definition: nameText,
  key: keyText,
  /** The newest build before. */
  before: z
    .strictObject({ key: keyText, version: z.string().regex(/^[0-9-]{1,20}$/) })
    .optional(),
  /** Sentences. */
  reasons: z.array(shortText).max(500),
});

const packageChangeSchema = z.strictObject({
  name: shortText,
  from: shortText.optional(),
  to: shortText.optional(),
});
export type PackageChange = z.output<typeof packageChangeSchema>;

const packagesSchema = z.strictObject({
  definition: nameText,
  key: keyText,
  packages: amount,
  /** What it is compared with; none where no other build is known. */
  base: z
    .string()
    .regex(/^[0-9-]{1,20}$/)
    .optional(),
  changes: z.array(packageChangeSchema).max(20_000),
});
export type PackageDifference = z.output<typeof packagesSchema>;

const resourceSchema = z.strictObject({
  type: shortText,
  name: shortText,
  change: changeSchema,
  /** Names of what changes, never values. */
  properties: z.array(shortText).max(100),
  /** How many there may be of a group of machines. */
  most: amount.optional(),
});

const problemSchema = z.strictObject({
  severity: z.enum(["error", "warning", "info"]),
  text: longText,
});

export const previewDocumentSchema = z.strictObject({
  format: z.literal(documentFormat),
  stack: z.string().regex(/^[\w.-]{1,100}$/),
  /** `empty` where the stack's own state was out of reach. */
  state: z.enum(["target", "empty"]),
  /** Sections of the configuration that were left out with the state. */
  leftOut: z.array(shortText).max(100),
  isComplete: z.boolean(),
  counts: z.strictObject({
    create: amount,
    update: amount,
    replace: amount,
    delete: amount,
    same: amount,
  }),
  versions: z.array(versionSchema).max(20_000),
  publications: z.array(publicationSchema).max(50_000),
  explanations: z.array(explanationSchema).max(20_000),
  /** Why there are none, where there should be. */
  unexplained: longText.optional(),
  packages: z.array(packagesSchema).max(20_000),
  machines: z.array(resourceSchema).max(5000),
  others: z.array(resourceSchema).max(50_000),
  problems: z.array(problemSchema).max(mostProblems),
});

/** See {@link previewDocumentSchema}. */
export type PreviewDocument = z.output<typeof previewDocumentSchema>;

/** A document's file. What has no room is left out, packages first, and said to be. */
export function documentText(document: PreviewDocument): string {
  const smaller: readonly Partial<PreviewDocument>[] = [
    {},
    { packages: [] },
    { packages: [], others: [] },
    { packages: [], others: [], explanations: [], publications: [] },
  ];
  const texts = smaller.map((changes, index) => {
    const text =
      "Parts of this preview have no room in its document and are left out, packages first.";
    const problems =
      index === 0
        ? document.problems
        : [{ severity: "warning" as const, text }, ...document.problems];
    return () =>
      `${JSON.stringify({ ...document, ...changes, problems: problems.slice(0, mostProblems) }, undefined, 1)}\n`;
  });
  for (const text of texts) {
    const made = text();
    if (Buffer.byteLength(made) <= longestDocumentBytes) return made;
  }
  throw new PreviewError(
    `The preview of ${document.stack} is longer than ${longestDocumentBytes} bytes, whatever is left out of it. Preview a stack with fewer definitions.`,
  );
}

/**
 * Reads a document that somebody else wrote.
 *
 * @param source where it was found, for messages
 * @throws {GitlabError} for one that is too large, or none.
 */
export function parsePreviewDocument(
  text: string,
  source: string,
): PreviewDocument {
  const wrong = (reason: string) =>
    new GitlabError(
      `${source} is no preview that this version of the project reads: ${reason} No note was written. Rebase the merge request onto its target branch, or see who made that file.`,
    );
  if (Buffer.byteLength(text) > longestDocumentBytes) {
    throw wrong(`it is longer than ${longestDocumentBytes} bytes.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong("it is not JSON.");
  }
  const parsed = previewDocumentSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  // Of what is in it, nothing is repeated: it may be anybody's.
  throw wrong(
    `${issue?.path.map(String).join(".").slice(0, 100) || "the whole"} is not what it should be.`,
  );
}
