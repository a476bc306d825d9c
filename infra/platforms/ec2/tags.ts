/** The tags by which what is ours is known in an account: nothing without them is ever changed or deleted. Pure. */

import type {
  DefinitionName,
  ImageKey,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { Sha256 } from "../../store/store.ts";

/** Names of the tags. Amazon keeps `aws:` to itself; everything else is free. */
export const tagNames = {
  /** `organization/project/stack`. */
  stack: "cloud-images:stack",
  key: "cloud-images:key",
  /** The AMI that a thing is for: a stack may have several places in one account and region. */
  image: "cloud-images:image",
  definition: "cloud-images:definition",
  version: "cloud-images:version",
  rawSha256: "cloud-images:raw-sha256",
} as const;

/** What a thing in an account is for. */
export interface Owner {
  readonly stack: string;
  readonly key: ImageKey;
  /** Name of the AMI. */
  readonly amiName: string;
}

/** What else is said of it. */
export interface TaggedImage extends Owner {
  readonly definition: DefinitionName;
  readonly version: ImageVersion;
  readonly rawSha256: Sha256;
}

/** A tag as the APIs of EC2 have it. */
export interface ApiTag {
  readonly Key?: string | undefined;
  readonly Value?: string | undefined;
}

/** The tags that make a thing ours: all of them, with these values. */
export function identityTags({
  stack,
  key,
  amiName,
}: Owner): Readonly<Record<string, string>> {
  return {
    [tagNames.stack]: stack,
    [tagNames.key]: key,
    [tagNames.image]: amiName,
  };
}

/**
 * All tags of a thing that is made for an image. `Name` is what the console shows.
 *
 * @param more tags of the user's, which cannot replace ours
 */
export function imageTags(
  image: TaggedImage,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return {
    Name: image.amiName,
    ...more,
    ...identityTags(image),
    [tagNames.definition]: image.definition,
    [tagNames.version]: image.version,
    [tagNames.rawSha256]: image.rawSha256,
  };
}

/** Whether a thing carries all of these tags; it may have others. */
export function carriesTags(
  tags: readonly ApiTag[] | undefined,
  wanted: Readonly<Record<string, string>>,
): boolean {
  const values = new Map(tags?.map(({ Key, Value }) => [Key, Value]));
  return Object.entries(wanted).every(
    ([name, value]) => values.get(name) === value,
  );
}

/** Tags as the APIs of EC2 take them, in the order of their names. */
export function apiTags(
  tags: Readonly<Record<string, string>>,
): { Key: string; Value: string }[] {
  return Object.entries(tags)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));
}

/** Filters that find what carries all of these tags, and maybe more: `*` and `?` have a meaning in filters. */
export function tagFilters(
  tags: Readonly<Record<string, string>>,
): { Name: string; Values: string[] }[] {
  return Object.entries(tags).map(([name, value]) => ({
    Name: `tag:${name}`,
    Values: [value],
  }));
}
