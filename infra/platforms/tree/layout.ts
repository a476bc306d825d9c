/**
 * Where everything is in a published file tree, by the names that https://cloud.debian.org/images/cloud/
 * uses where it has the thing. Pure; all paths are relative to the publication's root. Those below are of the channel
 * `release`; the others have a directory of their own in that of the release: `trixie/daily/latest`.
 *
 *     index.html  index.json                       what there is
 *     trixie/20261121-1/SHA512SUMS                 of all files of all images in that directory
 *     trixie/20261121-1/debian-13-ec2-amd64-20261121-1.tar.zst   (.qcow2 .json .packages.txt)
 *     trixie/20261121-1/debian-13-ec2-amd64-20261121-1.boot-uefi.xml   (.log .png)
 *     trixie/latest -> .latest-1a2b3c4d5e6f        moved in one step
 *     trixie/.latest-1a2b3c4d5e6f/debian-13-ec2-amd64.qcow2 -> ../20261121-1/…   and SHA512SUMS
 *
 * A bucket has no links: `latest/` has copies there.
 */

import type {
  DefinitionName,
  Firmware,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { BootCheckAttachment } from "../../store/documents.ts";
import type {
  Format,
  PublicationRecord,
  PublishedFile,
} from "../../store/records.ts";

/** What a published image is called by. */
export interface ImageName {
  /** Debian's codename: `trixie`. */
  readonly release: string;
  readonly channel: ImageType;
  readonly definition: DefinitionName;
  readonly version: ImageVersion;
}

/** What follows an image's name and a dot. */
export type FileSuffix =
  | Format
  | "json"
  | "packages.txt"
  | `boot-${Firmware}.${BootCheckAttachment}`;

/** Checksums of a directory, as `sha512sum -c` reads them. */
export const sumsFileName = "SHA512SUMS";

/** The catalogue for people, and the one for programs. */
export const indexPageName = "index.html";
export const indexDataName = "index.json";

/** What the catalogues say they were made by. */
export const generator = "cloud-images";

/** Beginning of the private directories in which files are made before they are moved into place. */
export const incomingPrefix = ".incoming-";

const latestPattern = /^\.latest-[0-9a-f]{12}$/;

/** The name of a published image, from its record. */
export function imageNameOf(record: PublicationRecord): ImageName {
  const { channel, definition, version } = record;
  return {
    release: definition.release.codename,
    channel,
    definition: definition.name,
    version,
  };
}

/** Where all images of a release and channel are. */
export function channelDirectory({
  release,
  channel,
}: Pick<ImageName, "release" | "channel">): string {
  return channel === "release" ? release : `${release}/${channel}`;
}

/** Where all images of a release, channel and version are. */
export function versionDirectory(
  image: Pick<ImageName, "release" | "channel" | "version">,
): string {
  return `${channelDirectory(image)}/${image.version}`;
}

/** Where one file of an image is. */
export function filePath(image: ImageName, suffix: FileSuffix): string {
  const { definition, version } = image;
  return `${versionDirectory(image)}/${definition}-${version}.${suffix}`;
}

/** The file of that suffix among an image's, or `undefined` when it has none. */
export function fileOf(
  record: PublicationRecord,
  suffix: FileSuffix,
): PublishedFile | undefined {
  const path = filePath(imageNameOf(record), suffix);
  return record.files.find((file) => file.path === path);
}

/** The last step of a path. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A file's name without the version, the same for every newest image. */
export function undatedName(image: ImageName, path: string): string {
  const { definition, version } = image;
  return fileName(path).replace(`${definition}-${version}.`, `${definition}.`);
}

/** The link to a channel's newest images. @param directory as {@link channelDirectory} gives it */
export function latestLink(directory: string): string {
  return `${directory}/latest`;
}

/** Everything that is derived from the records and changes with an image: checksums, `latest`, the index. */
export function viewPaths(image: ImageName): readonly string[] {
  return [
    `${versionDirectory(image)}/${sumsFileName}`,
    latestLink(channelDirectory(image)),
    indexDataName,
    indexPageName,
  ];
}

/** Texts by which the files among those views tell whose they are. */
export function viewMarks({
  definition,
  version,
}: ImageName): readonly string[] {
  return [
    `  ${definition}-${version}.`,
    `"generator": "${generator}"`,
    `<meta name="generator" content="${generator}">`,
  ];
}

/** The directory behind that link. @param digest hex digits over what is in it, at least 12. */
export function latestDirectoryName(digest: string): string {
  return `.latest-${digest.slice(0, 12)}`;
}

/** Whether a name is one that `latestDirectoryName` gives. */
export function isLatestDirectoryName(name: string): boolean {
  return latestPattern.test(name);
}

/** Text of a SHA512SUMS file: one line for each file, sorted by name. */
export function sumsText(
  files: readonly { readonly name: string; readonly sha512: string }[],
): string {
  return files
    .map(({ name, sha512 }) => ({ name, line: `${sha512}  ${name}\n` }))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ line }) => line)
    .join("");
}

/** For sorting: negative when the first version is newer. */
export function newestFirst(one: ImageVersion, other: ImageVersion): number {
  const [oneDay = 0, oneCount = 0] = one.split("-").map(Number);
  const [otherDay = 0, otherCount = 0] = other.split("-").map(Number);
  return otherDay - oneDay || otherCount - oneCount;
}
