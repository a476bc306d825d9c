/** A place in a bucket, and how it is reached, as one text without secrets: what resources carry as an input. Pure. */

import { z } from "zod";
import type { Difference } from "../dynamic/provider.ts";
import { UserError } from "../errors.ts";
import { isSafeName } from "../store/names.ts";
import { awsAccessSchema } from "./access.ts";

export const bucketNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    "must be the name of a bucket: lower-case letters, digits, hyphens and dots",
  );

export const bucketPrefixSchema = z
  .string()
  .refine(isSafeName, "must be a path without a slash at either end")
  .optional()
  .describe("Where in the bucket; all of it when left out");

/** Which bucket, where in it, and how it is reached. */
export const bucketPlaceSchema = awsAccessSchema.extend({
  bucket: bucketNameSchema,
  prefix: bucketPrefixSchema,
});
export type BucketPlace = Readonly<z.output<typeof bucketPlaceSchema>>;

const scheme = "s3://";

/** Whether a text is the address of a place in a bucket. */
export function isBucketAddress(text: string): boolean {
  return text.startsWith(scheme);
}

/** The place as people write it: `s3://bucket/prefix`. */
export function bucketName({
  bucket,
  prefix,
}: Pick<BucketPlace, "bucket" | "prefix">): string {
  return `${scheme}${bucket}${prefix === undefined ? "" : `/${prefix}`}`;
}

/** `s3://bucket/prefix?region=…`, with the settings sorted by name: the same for the same place and settings. */
export function bucketAddress({
  bucket,
  prefix,
  ...access
}: BucketPlace): string {
  const settings = new URLSearchParams();
  for (const [name, value] of Object.entries(access)) {
    if (value !== undefined) settings.set(name, value);
  }
  settings.sort();
  return `${bucketName({ bucket, prefix })}?${settings}`;
}

/**
 * What {@link bucketAddress} was made from.
 * @throws {UserError} for a text that it does not give.
 */
export function bucketPlaceOf(address: string): BucketPlace {
  const [place = "", settings = ""] = address.slice(scheme.length).split("?");
  const [bucket, ...steps] = place.split("/");
  const parsed = bucketPlaceSchema.safeParse({
    ...Object.fromEntries(new URLSearchParams(settings)),
    bucket,
    ...(steps.length === 0 ? {} : { prefix: steps.join("/") }),
  });
  if (parsed.success && isBucketAddress(address)) return parsed.data;
  const faults = parsed.error?.issues.map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );
  throw new UserError(
    `${JSON.stringify(address)} is no address of a bucket (${faults?.join("; ") ?? `it does not begin with ${scheme}`}). Correct what the stack's configuration says of it.`,
  );
}

/** What of an address says which place it is, and not how it is reached. */
export function bucketIdentity(address: string): string {
  const place = bucketPlaceOf(address);
  const name = bucketName(place);
  return place.endpoint === undefined ? name : `${name} at ${place.endpoint}`;
}

/**
 * What another address, under the input `name`, means for a resource: another place calls for a new one, while a bucket that is
 * reached in another way, by another profile or role, is still the same.
 *
 * @param identity of an address
 */
export function placeDifference(
  name: string,
  before: string,
  after: string,
  identity: (address: string) => string,
): Difference {
  if (before === after) return { replaces: [], updates: [] };
  return identity(before) === identity(after)
    ? { replaces: [], updates: [name] }
    : { replaces: [name], updates: [] };
}
