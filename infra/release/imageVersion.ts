import * as pulumi from "@pulumi/pulumi";
import type {
  Definition,
  ImageKey,
  ImageType,
  ImageVersion as Version,
} from "../definitions/definition.ts";
import { shortKey } from "../definitions/key.ts";
import type { ArchiveState } from "../image/archive.ts";
import { BootCheck } from "../image/bootCheck.ts";
import { FaiImage } from "../image/faiImage.ts";
import { ImageFormat } from "../image/imageFormat.ts";
import type {
  DeclaredPublication,
  Place,
  PublishableImage,
} from "../platforms/platform.ts";
import type { UploadsConfig } from "../platforms/uploads.ts";
import type { PublicationRecord } from "../store/records.ts";
import { neededFormats } from "./neededFormats.ts";

/** One key of one definition, and where it is published. */
export interface ImageVersionArgs {
  readonly definition: Definition;
  readonly key: ImageKey;
  readonly archive: ArchiveState;
  /** The channel. */
  readonly type: ImageType;
  /** The store's address. */
  readonly store: string;
  readonly destinations: readonly Destination[];
  readonly uploads: UploadsConfig;
}

/** A place that an image version is published to. */
export interface Destination {
  readonly place: Place;
  /** Its record there, once it was published. */
  readonly record: PublicationRecord | undefined;
}

/** What was declared of an image version in a place. */
export interface Published {
  readonly place: Place;
  readonly image: PublishableImage;
  readonly publication: DeclaredPublication;
}

/** `organization/project/stack`: who holds a build and owns a publication. */
export function fullStackName(): string {
  return [
    pulumi.getOrganization(),
    pulumi.getProject(),
    pulumi.getStack(),
  ].join("/");
}

/** Directories that the resources share; they count from the repository's root. */
const directories = {
  configSpace: "image-definitions/fai",
  cache: ".cache/build",
  logs: ".state/logs",
  work: ".state/work",
};

/**
 * One version of an image, from its build to where users get it. Its name has the definition and the key, so
 * that a preview says in words what appears and what goes.
 */
export class ImageVersion extends pulumi.ComponentResource {
  /** `YYYYMMDD-N`; none when it failed and was allowed to. */
  readonly version: pulumi.Output<Version | undefined>;
  /** Why it is not published, where it was allowed to fail. */
  readonly failures: pulumi.Output<readonly string[]>;
  /** What became of it in each of its places. */
  readonly published: readonly Published[];

  constructor(
    {
      definition,
      key,
      archive,
      type,
      store,
      destinations,
      uploads,
    }: ImageVersionArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    const label = `${definition.name}-${shortKey(key)}`;
    super("cloud-images:release:ImageVersion", label, {}, options);
    const stack = fullStackName();
    const child = { parent: this };

    const image = new FaiImage(
      `${label}-image`,
      { stack, key, definition, archive, store, ...directories },
      child,
    );
    const { version, rawSha256 } = image;
    const formats = neededFormats(destinations.map(({ place }) => place));
    const converted = formats.map((format) => ({
      format,
      file: new ImageFormat(
        `${label}-${format}`,
        { store, key, label, rawSha256, format },
        child,
      ),
    }));
    const { logs, work } = directories;
    const checks = definition.bootCheck.firmware.map(
      (firmware) =>
        new BootCheck(
          `${label}-boot-${firmware}`,
          { stack, store, key, definition, rawSha256, firmware, logs, work },
          child,
        ),
    );
    const failures = pulumi
      .all([image, ...checks].map((part) => part.failures))
      .apply((lists) => lists.flatMap((list) => list ?? []));

    this.version = version;
    this.failures = failures;
    this.published = destinations.map(({ place, record }) => {
      const files = converted
        .filter(({ format }) => place.formats.includes(format))
        .map(({ file }) => file);
      const image: PublishableImage = {
        ...{ stack, store, key, label, definition, channel: type },
        ...{ version, rawSha256, failures, checks, files, record, uploads },
        parent: this,
      };
      return { place, image, publication: place.publish(image) };
    });
    this.registerOutputs({ key });
  }
}
