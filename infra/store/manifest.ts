/**
 * The manifest that is published beside an image, in the form that Debian's own cloud images have and
 * that programs which look for images read: a `List` of one `Build` (what is inside) and one `Upload`
 * for each file (where it is and what its SHA-512 is). Pure.
 *
 * The form has no document of its own; its facts are those of the manifests at
 * https://cloud.debian.org/images/cloud/ and of api/wellknown.py in Debian's debian-cloud-images.
 */

import { createHash } from "node:crypto";
import type { ImageKey, ImageType } from "../definitions/definition.ts";
import type { BuildRecord, Format, Package } from "./records.ts";

/** One file that the manifest points to. */
export interface UploadedFile {
  readonly format: Format;
  /** Where the provider has it; for a file tree, the path below its root. */
  readonly ref: string;
  /** 128 lower-case hex digits. */
  readonly sha512: string;
}

/** Everything a manifest is made from. */
export interface ManifestSource {
  readonly build: BuildRecord;
  readonly channel: ImageType;
  /** Who has the files: `directory`, or the name of a cloud. */
  readonly provider: string;
  readonly files: readonly UploadedFile[];
}

/** Labels or annotations: name to text. */
type Texts = Readonly<Record<string, string>>;

interface Metadata {
  readonly annotations?: Texts;
  readonly labels: Texts;
  readonly uid: string;
}

/** What is inside an image. */
export interface BuildItem {
  readonly apiVersion: typeof itemApiVersion;
  readonly data: {
    readonly info: Texts;
    readonly packages: readonly {
      readonly name: string;
      readonly version: string;
    }[];
  };
  readonly kind: "Build";
  readonly metadata: Metadata;
}

/** One file of an image. */
export interface UploadItem {
  readonly apiVersion: typeof itemApiVersion;
  readonly data: { readonly provider: string; readonly ref: string };
  readonly kind: "Upload";
  readonly metadata: Metadata;
}

/** The whole manifest. */
export interface Manifest {
  readonly apiVersion: "v1";
  readonly items: readonly (BuildItem | UploadItem)[];
  readonly kind: "List";
}

const itemApiVersion = "cloud.debian.org/v1alpha1";

/** The namespace of the uids below: a random UUID, the same for all time. */
const uidNamespace = "8c0f5b7e-2d4b-4c57-9f0e-5a6d1f3b9e21";

/** Debian's names where it has the format: the archive of the raw disk is what its own tools exchange. */
const imageFormats: Readonly<Record<Format, string>> = {
  "tar.zst": "internal",
  qcow2: "qcow2",
  "tar.xz": "internal",
  "tar.gz": "tar.gz",
  vmdk: "vmdk",
  vhd: "vhd",
  "root.tar.zst": "root.tar",
  "oci.tar": "oci",
};

/** The manifest as data. */
export function manifestOf(source: ManifestSource): Manifest {
  return {
    apiVersion: "v1",
    items: [
      buildItem(source),
      ...source.files.map((file) => uploadItem(source, file)),
    ],
    kind: "List",
  };
}

/** The manifest as the text of its file: the same bytes for the same source. */
export function manifestText(source: ManifestSource): string {
  return `${JSON.stringify(manifestOf(source), undefined, 4)}\n`;
}

/** `sha512:` and the digest in base64 without padding, as the annotation `cloud.debian.org/digest` has it. */
export function digestAnnotation(sha512: string): string {
  const base64 = Buffer.from(sha512, "hex").toString("base64");
  return `sha512:${base64.replace(/=+$/, "")}`;
}

/** The first 12 hex digits of a key: what people and previews call a build by. */
export function buildId(key: ImageKey): string {
  return key.slice(0, 12);
}

function buildItem({ build, channel }: ManifestSource): BuildItem {
  return {
    apiVersion: itemApiVersion,
    data: {
      info: infoOf(build, channel),
      packages: build.packages.map((each) => packageOf(build, each)),
    },
    kind: "Build",
    metadata: {
      labels: labelsOf(build, channel),
      uid: uid(build.key, "Build"),
    },
  };
}

function uploadItem(source: ManifestSource, file: UploadedFile): UploadItem {
  const { build, channel, provider } = source;
  const imageFormat = imageFormats[file.format];
  return {
    apiVersion: itemApiVersion,
    data: { provider, ref: file.ref },
    kind: "Upload",
    metadata: {
      annotations: { "cloud.debian.org/digest": digestAnnotation(file.sha512) },
      labels: {
        ...labelsOf(build, channel),
        "upload.cloud.debian.org/image-format": imageFormat,
        "upload.cloud.debian.org/provider": provider,
        "upload.cloud.debian.org/type": channel,
      },
      uid: uid(build.key, "Upload", file.format),
    },
  };
}

function infoOf({ key, version, definition }: BuildRecord, channel: ImageType) {
  return {
    arch: definition.architecture,
    build_id: buildId(key),
    release: definition.release.codename,
    release_baseid: definition.release.version,
    release_id: definition.release.version,
    type: channel,
    vendor: definition.variant,
    version,
  };
}

function labelsOf(
  { key, version, definition }: BuildRecord,
  channel: ImageType,
) {
  return {
    "build.cloud.debian.org/build-id": buildId(key),
    "build.cloud.debian.org/type": channel,
    "cloud.debian.org/vendor": definition.variant,
    "cloud.debian.org/version": version,
    "debian.org/arch": definition.architecture,
    "debian.org/dist": "debian",
    "debian.org/release": definition.release.codename,
  };
}

/** A package of another architecture than the image's carries it in its name, as dpkg shows it. */
function packageOf(
  { definition }: BuildRecord,
  { name, version, architecture }: Package,
) {
  const own = [definition.architecture, "all"].includes(architecture);
  return { name: own ? name : `${name}:${architecture}`, version };
}

/** A UUID of version 5 (RFC 9562, 5.5) that names one item of one key's manifest. */
function uid(key: ImageKey, ...names: readonly string[]): string {
  const bytes = createHash("sha1")
    .update(Buffer.from(uidNamespace.replaceAll("-", ""), "hex"))
    .update([key, ...names].join("/"))
    .digest()
    .subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
