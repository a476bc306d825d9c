import * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config.ts";
import type {
  Definition,
  ImageKey,
  ImageVersion as Version,
} from "../definitions/definition.ts";
import { shortKey } from "../definitions/key.ts";
import type { ArchiveState } from "../image/archive.ts";
import { BootCheck } from "../image/bootCheck.ts";
import { FaiImage } from "../image/faiImage.ts";
import { ImageFormat } from "../image/imageFormat.ts";
import { DirectoryPublication } from "../platforms/directory/directoryPublication.ts";
import { formatNeeds, neededFormats } from "./neededFormats.ts";

/** One key of one definition. */
export interface ImageVersionArgs {
  readonly config: StackConfig;
  readonly definition: Definition;
  readonly key: ImageKey;
  readonly archive: ArchiveState;
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
const places = {
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
  /** Its published files, relative to the published directory. */
  readonly files: pulumi.Output<string[]>;
  /** How the boot check ran the image. */
  readonly acceleration: pulumi.Output<"kvm" | "tcg" | undefined>;

  constructor(
    args: ImageVersionArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    const { config, definition, key, archive } = args;
    const label = `${definition.name}-${shortKey(key)}`;
    super("cloud-images:release:ImageVersion", label, {}, options);
    const stack = fullStackName();
    const store = config.store.directory;
    const child = { parent: this };

    const image = new FaiImage(
      `${label}-image`,
      { stack, key, definition, archive, store, ...places },
      child,
    );
    const { rawSha256 } = image;
    const converted = neededFormats(formatNeeds(config)).map((format) => ({
      format,
      file: new ImageFormat(
        `${label}-${format}`,
        { store, key, label, rawSha256, format },
        child,
      ),
    }));
    const { logs, work } = places;
    const checks = definition.bootCheck.firmware.map(
      (firmware) =>
        new BootCheck(
          `${label}-boot-${firmware}`,
          { stack, store, key, definition, rawSha256, firmware, logs, work },
          child,
        ),
    );
    const published = converted
      .filter(({ format }) => config.directory.formats.includes(format))
      .map(({ file }) => file);
    const failures = pulumi
      .all([image, ...checks].map((part) => part.failures))
      .apply((lists) => lists.flatMap((list) => list ?? []));
    const publication = new DirectoryPublication(
      `${label}-directory`,
      {
        stack,
        store,
        root: config.directory.path,
        key,
        version: image.version,
        release: definition.release.codename,
        channel: config.type,
        definition: definition.name,
        formats: config.directory.formats,
        firmware: [...definition.bootCheck.firmware],
        rawSha256,
        failures,
      },
      { ...child, dependsOn: [...published, ...checks] },
    );

    this.version = image.version;
    this.failures = failures;
    this.files = publication.files;
    this.acceleration = publication.acceleration;
    this.registerOutputs({ key });
  }
}
