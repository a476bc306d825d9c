/** What an image is called in Glance, and the properties by which it is known to be ours. Pure. */

import { createHash } from "node:crypto";
import type {
  Architecture,
  Definition,
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { Image } from "../../openstack/imageApi.ts";
import type { Sha256 } from "../../store/store.ts";

/** What our properties begin with; no property of the user's does. */
export const ownPrefix = "cloud_images_";

/** The properties that have the image's key and version. */
export const keyProperty = `${ownPrefix}key`;
export const versionProperty = `${ownPrefix}version`;

/** Whose an image is, whatever its version. */
export interface ImageSeries {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The cloud's name in the stack's configuration: two of them may be one project. */
  readonly place: string;
  readonly definition: DefinitionName;
  readonly channel: ImageType;
}

/** One image of a series. */
export interface ImageIdentity extends ImageSeries {
  readonly key: ImageKey;
}

/** Its file. */
export interface ImageFile {
  readonly version: ImageVersion;
  /** Of the file in the image's format. */
  readonly sha256: Sha256;
}

/** The name of the newest image of a definition, which is what users ask for. */
export function seriesName({
  definition,
  channel,
}: Pick<ImageSeries, "definition" | "channel">): string {
  return channel === "release" ? definition : `${definition}-${channel}`;
}

/** The name of an image that is not the newest one, or not yet. */
export function datedName(
  series: Pick<ImageSeries, "definition" | "channel">,
  version: string,
): string {
  return `${seriesName(series)}-${version}`;
}

/** Properties that all images of a series have. */
export function seriesProperties({
  stack,
  place,
  definition,
  channel,
}: ImageSeries): Readonly<Record<string, string>> {
  return {
    [`${ownPrefix}stack`]: stack,
    [`${ownPrefix}place`]: place,
    [`${ownPrefix}definition`]: definition,
    [`${ownPrefix}channel`]: channel,
  };
}

/** Properties by which an image is found again. */
export function identityProperties(
  identity: ImageIdentity,
): Readonly<Record<string, string>> {
  return { ...seriesProperties(identity), [keyProperty]: identity.key };
}

/** Of these, an image that has another one is another image. */
export function fileProperties({
  version,
  sha256,
}: ImageFile): Readonly<Record<string, string>> {
  return {
    [versionProperty]: version,
    [`${ownPrefix}sha256`]: sha256,
  };
}

/** The property that has the image's own id. */
export const idProperty = `${ownPrefix}id`;

/**
 * Whether an image that has our properties is the one that got them from us. A snapshot of an instance, or an image made
 * from its volume, has all properties of the image that it was started from: those are its user's.
 */
export function isOriginal(image: Image): boolean {
  return image[idProperty] === image.id;
}

/**
 * The id of an image, the same in every run: what was created twice exists once. Glance never takes an id again, not even
 * of an image that was deleted.
 *
 * @param count of the ids before this one that were used up
 * @returns a UUID of version 8 (RFC 9562, 5.8)
 */
export function imageIdOf(
  identity: ImageIdentity,
  sha256: Sha256,
  project: string,
  count: number,
): string {
  const parts = [identityProperties(identity), sha256, project, count];
  const bytes = createHash("sha256")
    .update(JSON.stringify(parts))
    .digest()
    .subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** What Nova is told of each architecture's machines: Glance's name for it, and qemu's machine. */
const machines: Readonly<
  Record<Architecture, { readonly architecture: string; machine: string }>
> = {
  amd64: { architecture: "x86_64", machine: "q35" },
  arm64: { architecture: "aarch64", machine: "virt" },
  ppc64el: { architecture: "ppc64le", machine: "pseries" },
  riscv64: { architecture: "riscv64", machine: "virt" },
};

/** What Nova and people are told of an image, before the user's own properties. */
export function machineProperties({
  architecture,
  release,
  bootCheck: { firmware },
}: Definition): Readonly<Record<string, string>> {
  const { architecture: name, machine } = machines[architecture];
  // Every hypervisor can start an image by BIOS that starts by it.
  const firmwareType = firmware.includes("bios")
    ? "bios"
    : firmware.includes("open-firmware")
      ? undefined
      : "uefi";
  return {
    architecture: name,
    hw_disk_bus: "virtio",
    ...(firmwareType === undefined ? {} : { hw_firmware_type: firmwareType }),
    hw_machine_type: machine,
    os_distro: "debian",
    os_version: release.version,
  };
}
