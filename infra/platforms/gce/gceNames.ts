/** What an image is called in Compute Engine, and the labels by which it is known to be ours. Pure. */

import { createHash } from "node:crypto";
import type {
  Architecture,
  Definition,
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { ComputeImage } from "../../google/computeApi.ts";
import type { Sha256 } from "../../store/store.ts";

/** What our labels, and our objects' metadata, begin with; no label of the user's does. */
export const ownPrefix = "cloud-images-";

/** Names of resources, and values of labels, have 63 characters at most (RFC 1035; labels, requirements). */
const longestName = 63;

/** Hex digits of a digest that makes a name that was cut, or spelt otherwise, different from all others: 48 bits. */
const digestDigits = 12;

/** Whose an image is, whatever its version. */
export interface ImageSeries {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The target's name in the stack's configuration. */
  readonly place: string;
  readonly definition: DefinitionName;
  readonly channel: ImageType;
}

/** One image of a series. */
export interface ImageIdentity extends ImageSeries {
  readonly key: ImageKey;
}

/**
 * A text as a name of a resource: lower-case letters, digits and hyphens, beginning with a letter and not ending with a
 * hyphen. One that had to be changed for that ends in a digest, so that two of them stay two.
 */
export function resourceName(text: string): string {
  return spelt(text, /^[a-z]([a-z0-9-]*[a-z0-9])?$/, /[^a-z0-9-]+/g, "i-");
}

/** A text as the value of a label, in the same way; `_` is one of its characters, and it begins with any of them. */
export function labelValue(text: string): string {
  return spelt(text, /^[a-z0-9_-]*$/, /[^a-z0-9_-]+/g, "");
}

function spelt(
  text: string,
  good: RegExp,
  bad: RegExp,
  beginning: string,
): string {
  if (text.length <= longestName && good.test(text)) return text;
  const digest = createHash("sha256")
    .update(text)
    .digest("hex")
    .slice(0, digestDigits);
  const plain = text.toLowerCase().replace(bad, "-").replace(/^-+/, "");
  const begun = /^[a-z]/.test(plain) ? plain : beginning + plain;
  const room = longestName - digestDigits - 1;
  return `${begun.slice(0, room).replace(/-+$/, "")}-${digest}`;
}

/** The name of an image, which is unique in its project. */
export function imageNameOf(
  { definition, channel }: Pick<ImageSeries, "definition" | "channel">,
  version: ImageVersion,
): string {
  return resourceName(`${seriesName({ definition, channel })}-${version}`);
}

/** The family of an image's versions: what users ask for. */
export function familyOf(
  series: Pick<ImageSeries, "definition" | "channel">,
  prefix?: string,
): string {
  const name = seriesName(series);
  return resourceName(prefix === undefined ? name : `${prefix}-${name}`);
}

function seriesName({
  definition,
  channel,
}: Pick<ImageSeries, "definition" | "channel">): string {
  return channel === "release" ? definition : `${definition}-${channel}`;
}

/** Labels that all images of a series have. */
export function seriesLabels({
  stack,
  place,
  definition,
  channel,
}: ImageSeries): Readonly<Record<string, string>> {
  return {
    [`${ownPrefix}stack`]: labelValue(stack),
    [`${ownPrefix}place`]: labelValue(place),
    [`${ownPrefix}definition`]: labelValue(definition),
    [`${ownPrefix}channel`]: channel,
  };
}

/** Labels by which an image is found again; a key's 64 digits are too many, and 40 of them are enough. */
export function identityLabels(
  identity: ImageIdentity,
): Readonly<Record<string, string>> {
  return {
    ...seriesLabels(identity),
    [`${ownPrefix}key`]: identity.key.slice(0, 40),
  };
}

/** The label that has the image's version. */
export const versionLabel = `${ownPrefix}version`;

/** The label that has the generation of the object that an image was made from. */
export const generationLabel = `${ownPrefix}generation`;

/** What else is said of an image: of these, one that has another is another image. */
export function fileLabels({
  version,
  sha256,
}: {
  readonly version: ImageVersion;
  /** Of the tar.gz. */
  readonly sha256: Sha256;
}): Readonly<Record<string, string>> {
  return {
    [versionLabel]: version,
    [`${ownPrefix}sha256`]: sha256.slice(0, 40),
  };
}

/** Whether an image carries all of these labels; it may have others. */
export function carriesLabels(
  { labels }: Pick<ComputeImage, "labels">,
  wanted: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(
    ([name, value]) => labels?.[name] === value,
  );
}

/** What machines may be told that a system can (REST API, GuestOsFeature), without those of Windows. */
export const guestFeatures = [
  "CCA_CAPABLE",
  "GVNIC",
  "IDPF",
  "MULTI_IP_SUBNET",
  "SEV_CAPABLE",
  "SEV_LIVE_MIGRATABLE_V2",
  "SEV_SNP_CAPABLE",
  "SNP_SVSM_CAPABLE",
  "SUSPEND_RESUME_COMPATIBLE",
  "TDX_CAPABLE",
  "UEFI_COMPATIBLE",
  "VIRTIO_SCSI_MULTIQUEUE",
] as const;
export type GuestFeature = (typeof guestFeatures)[number];

/** Those of confidential machines, whose memory processors of AMD, Intel or ARM encrypt each in their own way. */
const foreignFeatures: Readonly<
  Partial<Record<Architecture, readonly GuestFeature[]>>
> = {
  amd64: ["CCA_CAPABLE"],
  arm64: [
    ...(["SEV_CAPABLE", "SEV_LIVE_MIGRATABLE_V2", "SEV_SNP_CAPABLE"] as const),
    ...(["SNP_SVSM_CAPABLE", "TDX_CAPABLE"] as const),
  ],
};

/** What Debian's kernels can, and Google's own images of Debian say. */
const usualFeatures: readonly GuestFeature[] = [
  "GVNIC",
  "SEV_CAPABLE",
  "SEV_LIVE_MIGRATABLE_V2",
  "VIRTIO_SCSI_MULTIQUEUE",
];

/** Compute Engine's names for architectures. */
const machines: Readonly<Partial<Record<Architecture, "X86_64" | "ARM64">>> = {
  amd64: "X86_64",
  arm64: "ARM64",
};

/** Compute Engine's name for an architecture; `undefined` where it has no machines of it. */
export function machineOf(
  architecture: Architecture,
): "X86_64" | "ARM64" | undefined {
  return machines[architecture];
}

/**
 * What machines are told of an image, sorted. All of ours start by UEFI where they start at all.
 *
 * @param wanted in place of the usual ones; what the architecture's processors do not have is left out
 */
export function featuresOf(
  { architecture, bootCheck: { firmware } }: Definition,
  wanted: readonly GuestFeature[] = usualFeatures,
): readonly GuestFeature[] {
  const isUefi = firmware.some((each) => each.startsWith("uefi"));
  const features = [
    ...wanted,
    ...(isUefi ? (["UEFI_COMPATIBLE"] as const) : []),
  ].filter((each) => !foreignFeatures[architecture]?.includes(each));
  return [...new Set(features)].toSorted();
}
