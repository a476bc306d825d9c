/** What an image is called in a Compute Gallery and a container, and the marks by which it is known to be ours. Pure. */

import type {
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import { shortKey } from "../../definitions/key.ts";
import { UserError } from "../../errors.ts";

/** Whose an image is, whatever its version. */
export interface ImageSeries {
  readonly definition: DefinitionName;
  readonly channel: ImageType;
}

/** A blob, and what it is for. */
export interface BlobOwner extends ImageSeries {
  /** `organization/project/stack`. */
  readonly stack: string;
  readonly key: ImageKey;
  /** The place's name in the stack's configuration: two of them may share a container. */
  readonly place: string;
}

/** Names of image definitions have 80 characters at most (learn.microsoft.com, "Naming rules", Microsoft.Compute). */
const longestName = 80;

/**
 * The image definition of a channel: its latest version is what users of the channel ask for.
 *
 * @throws {UserError} when the definition's name is too long.
 */
export function galleryImageName({ definition, channel }: ImageSeries): string {
  const name = channel === "release" ? definition : `${definition}-${channel}`;
  if (name.length <= longestName) return name;
  throw new UserError(
    `Azure takes names of ${longestName} characters at most, and ${name} has ${name.length}. Give ${definition} a shorter name in image-definitions/.`,
  );
}

/** Azure's form of a version, which has three numbers: `0.20261121.312` for `20261121-0312`. */
export function galleryVersionName(version: ImageVersion): string {
  const [day = "", count = ""] = version.split("-");
  return `0.${Number(day)}.${Number(count)}`;
}

/** Where a disk is in its container. The key keeps what one build left apart from the next one. */
export function blobName(
  { place, key, ...series }: Omit<BlobOwner, "stack">,
  version: ImageVersion,
): string {
  return `${place}/${galleryImageName(series)}-${version}-${shortKey(key)}.vhd`;
}

/** When a version's life ends: so many days after the day of its version, ISO 8601 in UTC. */
export function endOfLife(version: ImageVersion, days: number): string {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})-/.exec(version) ?? [];
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString();
}

/** Metadata of a blob: its names are identifiers of C#, and come back in lower case. */
export const metadataNames = {
  stack: "cloud_images_stack",
  key: "cloud_images_key",
  image: "cloud_images_image",
  version: "cloud_images_version",
  sha256: "cloud_images_sha256",
  /** `sending`, or `whole` when it was read back. */
  state: "cloud_images_state",
} as const;

/** The metadata that makes a blob ours: all of them, with these values. */
export function ownerMetadata({
  stack,
  key,
  place,
  ...series
}: BlobOwner): Readonly<Record<string, string>> {
  return {
    [metadataNames.stack]: stack,
    [metadataNames.key]: key,
    [metadataNames.image]: `${place}/${galleryImageName(series)}`,
  };
}

/** Names of tags, which may not have any of `<>%&\?/`. */
export const tagNames = {
  stack: "cloud-images:stack",
  place: "cloud-images:place",
  key: "cloud-images:key",
  version: "cloud-images:version",
  sha256: "cloud-images:sha256",
} as const;

/** The IDs of the Resource Manager, from a subscription down. */
export function resourceGroupId(
  subscription: string,
  resourceGroup: string,
): string {
  return `/subscriptions/${subscription}/resourceGroups/${resourceGroup}`;
}

/** Which gallery. */
export interface GalleryId {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly gallery: string;
}

export function galleryId({
  subscription,
  resourceGroup,
  gallery,
}: GalleryId): string {
  return `${resourceGroupId(subscription, resourceGroup)}/providers/Microsoft.Compute/galleries/${gallery}`;
}

/** The ID of an image version. */
export function galleryVersionId(
  gallery: GalleryId,
  series: ImageSeries,
  version: ImageVersion,
): string {
  return `${galleryId(gallery)}/images/${galleryImageName(series)}/versions/${galleryVersionName(version)}`;
}
