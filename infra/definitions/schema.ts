/**
 * The form of the files in `image-definitions/`. One declaration gives the types, the checks and the JSON
 * schema that editors use.
 */

import { z } from "zod";
import {
  architectures,
  firmwares,
  firstClass,
  imageTypes,
  lastClass,
} from "./definition.ts";

const className = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*$/, "must be a FAI class: capitals, digits and _")
  .refine((name) => name !== firstClass && name !== lastClass, {
    error: `must not be ${firstClass} or ${lastClass}, which every image has`,
  })
  .describe("A FAI class; its files lie in image-definitions/fai");
const classes = z.array(className);
const plainName = z
  .string()
  .regex(/^[a-z][a-z0-9]*$/, "must be lower-case letters and digits");
const releaseName = z
  .string()
  .regex(/^[a-z][a-z0-9-]*$/, "must be lower-case letters, digits and -");

const suiteName = z
  .string()
  .regex(/^[a-z][a-z0-9-]*$/, "must be the name of a suite");
const extending = z
  .string()
  .optional()
  .describe("Another of its kind: what is not said here is as there");

/** Sections whose entries may extend each other: what a file says is part of an entry; expanded, it is whole. */
const suites = z
  .strictObject({
    debian: z.array(suiteName).min(1),
    security: z.array(suiteName),
  })
  .describe(
    "Suites of the two archives that images are installed and updated from; the first is the release itself",
  );
const freshness = z
  .union([
    z.literal("always"),
    z.strictObject({
      everyHours: z
        .number()
        .positive()
        .describe("At most one build in so many hours"),
    }),
    z.strictObject({
      pinned: z
        .string()
        .regex(
          /^\d{8}T\d{6}Z$/,
          "must be a timestamp as snapshot.debian.org has them: 20261101T000000Z",
        )
        .describe("The moment whose archive the image is made from"),
    }),
  ])
  .describe(
    "When an archive that has moved on calls for another image; `always` if a package of it has changed",
  );
/** What may be said of a release and of a variant, whose own word counts more. In itself it decides no bytes. */
const keepingFields = {
  freshness: freshness.optional(),
  allowFailure: z
    .boolean()
    .optional()
    .describe("Whether a run succeeds though this image fails"),
  alertAfterDays: z
    .number()
    .positive()
    .optional()
    .describe(
      "When `scripts/images check` finds the newest version too old, in days",
    ),
};
const releaseFields = {
  version: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'must be letters, digits and -, as in "13"')
    .describe("Debian's version number, quoted; part of image names"),
  suites,
  systemd: z
    .int()
    .min(240)
    .describe(
      "systemd's major version, which decides how the boot check gets its report",
    ),
  classes: classes.describe("FAI classes of every image of this release"),
  ...keepingFields,
};

const bootCheckFields = {
  firmware: z
    .array(z.enum(firmwares))
    .min(1)
    .describe(
      "Every one of these that machines of its architecture have must start the image",
    ),
  rootGrows: z
    .boolean()
    .describe(
      "Whether the root file system must fill the disk after the first boot",
    ),
  diskSizeGiB: z.int().min(1).describe("Size of the disk that the guest sees"),
  memoryMiB: z.int().min(256).describe("Memory of the guest"),
  timeoutSeconds: z.int().min(10).describe("After this the check has failed"),
};
const buildFields = {
  timeoutSeconds: z.int().min(10).describe("After this the build has failed"),
  memoryMiB: z
    .int()
    .min(512)
    .describe("Memory for the build: about three times the root file system"),
};
const disk = z.strictObject({
  sizeGiB: z.int().min(1).max(2048).describe("Size of the raw image"),
});
const variantFields = {
  description: z.string().min(1).describe("One line for people"),
  classes: classes.describe("FAI classes of every image of this variant"),
  disk,
  ...keepingFields,
};
const cloudInit = z
  .boolean()
  .describe("Whether cloud-init configures the image at its first boot");
const bootCheckText = "What an image must prove before it is published";

const releaseEntry = z
  .strictObject({
    extends: extending,
    ...releaseFields,
    suites: suites.partial(),
  })
  .partial()
  .describe("A Debian release, by its codename");
const variantEntry = z
  .strictObject({
    extends: extending,
    ...variantFields,
    disk: disk.partial(),
    cloudInit,
    build: z.strictObject(buildFields).partial(),
    bootCheck: z
      .strictObject(bootCheckFields)
      .partial()
      .describe(bootCheckText),
  })
  .partial()
  .describe("A kind of image, by its name");
const architecture = z
  .strictObject({ classes })
  .describe("A Debian architecture, by its name");
const imageType = z
  .strictObject({ classes })
  .describe("What an image of this type has more than others; mostly nothing");

/** A release with what it inherits. */
export const wholeRelease = z.strictObject(releaseFields);
export type WholeRelease = z.output<typeof wholeRelease>;

/** A variant with what it inherits. */
export const wholeVariant = z.strictObject({
  ...variantFields,
  cloudInit: cloudInit.default(false),
  build: z
    .strictObject({
      timeoutSeconds: buildFields.timeoutSeconds.default(1800),
      memoryMiB: buildFields.memoryMiB.default(3072),
    })
    .prefault({}),
  bootCheck: z.strictObject(bootCheckFields).describe(bootCheckText),
});
export type WholeVariant = z.output<typeof wholeVariant>;

const combinations = {
  releases: z.array(releaseName).min(1),
  architectures: z.array(z.string()).min(1),
  variants: z.array(plainName).min(1),
  types: z.array(z.enum(imageTypes)).min(1),
};
const images = z
  .strictObject({
    ...combinations,
    types: combinations.types
      .default([...imageTypes])
      .describe("What these are published as; all types when left out"),
    exclude: z
      .array(
        z
          .strictObject(combinations)
          .partial()
          .refine((rule) => Object.keys(rule).length > 0, {
            error: "must name releases, architectures, variants or types",
          }),
      )
      .default([])
      .describe(
        "Combinations that are left out; what a rule does not name may be anything",
      ),
  })
  .describe("Every combination of these is one image");

/** One file of definitions. Every part may be left out: another file can hold it. */
export const definitionFile = z.strictObject({
  releases: z.record(releaseName, releaseEntry).default({}),
  architectures: z
    .partialRecord(z.enum(architectures), architecture)
    .default({}),
  variants: z.record(plainName, variantEntry).default({}),
  types: z.partialRecord(z.enum(imageTypes), imageType).default({}),
  images: z.array(images).default([]),
});

export type DefinitionFile = z.output<typeof definitionFile>;

/** The JSON schema of {@link definitionFile}, as `image-definitions/schema.json` has it. */
export function definitionJsonSchema(): string {
  const schema = z.toJSONSchema(definitionFile, { io: "input" });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
