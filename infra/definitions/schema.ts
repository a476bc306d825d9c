/**
 * The form of the files in `image-definitions/`. One declaration gives the types, the checks and the JSON
 * schema that editors use.
 */

import { z } from "zod";
import { architectures, firmwares } from "./definition.ts";

const className = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*$/, "must be a FAI class: capitals, digits and _")
  .describe("A FAI class; its files lie in image-definitions/fai");
const classes = z.array(className);
const plainName = z
  .string()
  .regex(/^[a-z][a-z0-9]*$/, "must be lower-case letters and digits");

const release = z
  .strictObject({
    version: z
      .string()
      .regex(/^[a-z0-9]+$/, 'must be letters and digits, as in "13"')
      .describe("Debian's version number, quoted; part of image names"),
    systemd: z
      .int()
      .min(240)
      .describe(
        "systemd's major version, which decides how the boot check gets its report",
      ),
    classes: classes.describe("FAI classes of every image of this release"),
  })
  .describe("A Debian release, by its codename");

const architecture = z
  .strictObject({ classes })
  .describe("A Debian architecture, by its name");

const bootCheck = z
  .strictObject({
    firmware: z
      .array(z.enum(firmwares))
      .min(1)
      .describe("Every one of these must start the image"),
    rootGrows: z
      .boolean()
      .describe(
        "Whether the root file system must fill the disk after the first boot",
      ),
    diskSizeGiB: z
      .int()
      .min(1)
      .describe("Size of the disk that the guest sees"),
    memoryMiB: z.int().min(256).describe("Memory of the guest"),
    timeoutSeconds: z.int().min(10).describe("After this the check has failed"),
  })
  .describe("What an image must prove before it is published");

const variant = z
  .strictObject({
    description: z.string().min(1).describe("One line for people"),
    classes: classes.describe("FAI classes of every image of this variant"),
    cloudInit: z
      .boolean()
      .default(false)
      .describe("Whether cloud-init configures the image at its first boot"),
    disk: z.strictObject({
      sizeGiB: z.int().min(1).max(2048).describe("Size of the raw image"),
    }),
    build: z
      .strictObject({
        timeoutSeconds: z
          .int()
          .min(10)
          .default(1800)
          .describe("After this the build has failed"),
        memoryMiB: z
          .int()
          .min(512)
          .default(3072)
          .describe(
            "Memory for the build: about three times the root file system",
          ),
      })
      .prefault({}),
    bootCheck,
  })
  .describe("A kind of image, by its name");

const images = z
  .strictObject({
    releases: z.array(plainName).min(1),
    architectures: z.array(z.string()).min(1),
    variants: z.array(plainName).min(1),
  })
  .describe("Every combination of these is one image");

/** One file of definitions. Every part may be left out: another file can hold it. */
export const definitionFile = z.strictObject({
  releases: z.record(plainName, release).default({}),
  architectures: z
    .partialRecord(z.enum(architectures), architecture)
    .default({}),
  variants: z.record(plainName, variant).default({}),
  images: z.array(images).default([]),
});

export type DefinitionFile = z.output<typeof definitionFile>;

/** The JSON schema of {@link definitionFile}, as `image-definitions/schema.json` has it. */
export function definitionJsonSchema(): string {
  const schema = z.toJSONSchema(definitionFile, { io: "input" });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
