/** How Google Cloud, or a server that speaks its protocols, is reached. Never holds a credential. */

import { z } from "zod";

/**
 * Whose credentials are used, and where: enough for a bucket, whose name says all else. The credentials are those of the
 * environment (Application Default Credentials, which include workload identity federation).
 */
export const googleLoginSchema = z.strictObject({
  serviceAccount: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9-]*@[a-z0-9.-]+\.gserviceaccount\.com$/,
      "must be the address of a service account",
    )
    .optional()
    .describe("A service account to act as, with the usual credentials"),
  endpoint: z
    .url({ protocol: /^https?$/, error: "must be the address of a server" })
    .refine(
      (address) => !address.includes("@"),
      "must have no user name or password",
    )
    .transform((address) => address.replace(/\/+$/, ""))
    .optional()
    .describe(
      "Another server than Google's, for all of its services; one of http gets no credentials but those that GOOGLE_APPLICATION_CREDENTIALS names",
    ),
});
export type GoogleLogin = Readonly<z.output<typeof googleLoginSchema>>;

/** The settings of one project. */
export const googleAccessSchema = googleLoginSchema.extend({
  project: z
    .string()
    // Projects of old belong to a domain: example.com:project.
    .regex(
      /^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/,
      "must be a project's id (not its name or number)",
    ),
});

/** One project, and whose credentials are used there. */
export type GoogleAccess = Readonly<z.output<typeof googleAccessSchema>>;

/** A bucket's name (Cloud Storage, bucket naming requirements), dots of domains included. */
export const bucketNameSchema = z
  .string()
  .regex(
    /^(?!goog)(?!.*google)(?!.*\.\.)[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/,
    "must be the name of a bucket, without gs://",
  );
