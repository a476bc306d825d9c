/**
 * What an image's published files are made from: the build, its formats and its boot checks, read from
 * the store and refused unless all of them are there and belong together.
 */

import type {
  DefinitionName,
  Firmware,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import { BootCheckError, StoreError } from "../../errors.ts";
import {
  bootCheckAttachmentName,
  bootCheckAttachments,
  readBootCheck,
  readBuild,
  readFormat,
} from "../../store/documents.ts";
import type { BuildRecord, Format, Package } from "../../store/records.ts";
import type { Artifact, Store } from "../../store/store.ts";
import type { FileSuffix } from "./layout.ts";

/** What is to be published. */
export interface WantedImage {
  readonly key: ImageKey;
  readonly version: ImageVersion;
  /** Debian's codename: `trixie`. */
  readonly release: string;
  /** Where in the release's directory, and by which name in the manifest. */
  readonly channel: ImageType;
  readonly definition: DefinitionName;
  readonly formats: readonly Format[];
  /** Firmware with which a boot check must have passed, besides what the definition names. */
  readonly firmware: readonly Firmware[];
}

/** One file that is to be published: an artifact of the store, or content made here. */
export type FileSource = { readonly suffix: FileSuffix } & (
  | { readonly artifact: Artifact }
  | { readonly content: Uint8Array | string }
);

/** A format's file in the store. */
export interface FormatSource {
  readonly format: Format;
  readonly artifact: Artifact;
}

/** An image that may be published. */
export interface ImageSources {
  readonly build: BuildRecord;
  readonly uploads: readonly FormatSource[];
  /** All other files but the manifest, which is made from the digests of the formats. */
  readonly others: readonly FileSource[];
}

/**
 * Reads what is to be published.
 * @throws {StoreError} when the build or a format is missing or is not that of the inputs.
 * @throws {BootCheckError} when the very image was not boot-checked with every firmware.
 */
export async function readSources(
  store: Store,
  wanted: WantedImage,
): Promise<ImageSources> {
  const build = await readWantedBuild(store, wanted);
  const uploads = await Promise.all(
    wanted.formats.map((format) => readWantedFormat(store, build, format)),
  );
  const firmware = new Set([
    ...build.definition.bootCheck.firmware,
    ...wanted.firmware,
  ]);
  const checks: FileSource[] = [];
  for (const each of firmware)
    checks.push(...(await readBootCheckFiles(store, build, each)));
  const packages = {
    suffix: "packages.txt",
    content: packageList(build.packages),
  } as const;
  return { build, uploads, others: [packages, ...checks] };
}

async function readWantedBuild(
  store: Store,
  { key, version, definition, release }: WantedImage,
): Promise<BuildRecord> {
  const build = await readBuild(store, key);
  if (build === undefined) {
    throw new StoreError(
      `${definition} ${version} cannot be published: the store ${store.location} has no build of key ${key}. Run \`pulumi up\`, which builds what is missing.`,
    );
  }
  const actual = `${build.definition.name} ${build.version} for ${build.definition.release.codename}`;
  if (actual !== `${definition} ${version} for ${release}`) {
    throw new StoreError(
      `Key ${key} in the store ${store.location} is ${actual}, and not ${definition} ${version} for ${release}. Refresh the stack, which takes the version from the build.`,
    );
  }
  return build;
}

async function readWantedFormat(
  store: Store,
  build: BuildRecord,
  format: Format,
): Promise<FormatSource> {
  const record = await readFormat(store, build.key, format);
  if (record?.rawSha256 === build.raw.sha256)
    return { format, artifact: record.artifact };
  const fault =
    record === undefined ? "was not made" : "was made from another raw image";
  throw new StoreError(
    `${nameOf(build)} cannot be published: its ${format} ${fault}. Run \`pulumi up\`, which makes the formats anew.`,
  );
}

async function readBootCheckFiles(
  store: Store,
  build: BuildRecord,
  firmware: Firmware,
): Promise<FileSource[]> {
  const record = await readBootCheck(store, build.key, firmware);
  if (record?.rawSha256 !== build.raw.sha256) {
    const fault =
      record === undefined
        ? "did not pass"
        : "passed with another raw image, but not with this one,";
    throw new BootCheckError(
      `${nameOf(build)} cannot be published: it ${fault} the boot check with ${firmware}. Run \`pulumi up\`, which checks it, and read the console log if that fails.`,
    );
  }
  const files = bootCheckAttachments.map(
    async (attachment): Promise<FileSource[]> => {
      const content = await store.readBytes(
        bootCheckAttachmentName(build.key, firmware, attachment),
      );
      const suffix = `boot-${firmware}.${attachment}` as const;
      return content === undefined ? [] : [{ suffix, content }];
    },
  );
  return (await Promise.all(files)).flat();
}

function packageList(packages: readonly Package[]): string {
  return packages
    .map(
      ({ name, version, architecture }) =>
        `${name}\t${version}\t${architecture}\n`,
    )
    .join("");
}

function nameOf({ definition, version }: BuildRecord): string {
  return `${definition.name} ${version}`;
}
