/** OpenStack in a stack's configuration. */

import { z } from "zod";
import { namePatternSchema } from "../../definitions/namePattern.ts";
import { type CloudAccess, cloudAccessSchema } from "../../openstack/cloud.ts";
import { visibilities } from "../../openstack/imageApi.ts";
import { placeNameSchema } from "../../store/records.ts";
import { ownPrefix } from "./glanceNames.ts";

/** What Glance calls the forms that it can be given. The raw image is one of them, without a file of its own. */
export const glanceFormats = ["raw", "qcow2", "vmdk", "vhd"] as const;
export type GlanceFormat = (typeof glanceFormats)[number];

/** Fields that every image has, which no property may be called (Glance refuses the reserved ones, too). */
const fields = [
  ...["checksum", "container_format", "created_at", "deleted", "deleted_at"],
  ...["direct_url", "disk_format", "file", "id", "is_public", "location"],
  ...["locations", "min_disk", "min_ram", "name", "os_hash_algo"],
  ...["os_hash_value", "os_hidden", "owner", "protected", "schema", "self"],
  ...["size", "status", "stores", "tags", "updated_at", "virtual_size"],
  "visibility",
];

const cloudSchema = z
  .strictObject({
    cloud: cloudAccessSchema.shape.cloud.optional(),
    region: cloudAccessSchema.shape.region,
    format: z
      .enum(glanceFormats)
      .describe(
        "raw for clouds whose images are in Ceph, qcow2 for most others",
      ),
    visibility: z
      .enum(visibilities)
      .default("private")
      .describe("Who sees the images; public is for administrators"),
    projects: z
      .array(
        z.string().regex(/^[0-9a-f]{32}$|^[0-9a-f-]{36}$/, {
          error: "must be a project's id",
        }),
      )
      .default([])
      .describe("Projects that the images are shared with, by their ids"),
    properties: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_:.-]{0,254}$/, {
          error: "must be a property's name, in lower case",
        }),
        z.string(),
      )
      .default({})
      .describe("More properties of the images, or other values of usual ones"),
    uploads: z
      .int()
      .positive()
      .max(20)
      .default(2)
      .describe("How many images are sent to the cloud at once"),
    waitSeconds: z
      .int()
      .positive()
      .max(3600)
      .default(300)
      .describe("How long the cloud is waited for when it does not answer"),
  })
  .superRefine(({ visibility, projects, properties }, context) => {
    const complain = (path: string[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    if (visibility === "shared" && projects.length === 0) {
      complain(["projects"], "must name those that the images are shared with");
    }
    if (visibility !== "shared" && projects.length > 0) {
      complain(["visibility"], "must be shared for images to have projects");
    }
    for (const name of Object.keys(properties)) {
      if (name.startsWith(ownPrefix) || fields.includes(name)) {
        complain(["properties", name], "cannot be set: it has its own meaning");
      }
    }
  });

export const openstackConfigSchema = z
  .strictObject({
    definitions: z
      .array(namePatternSchema)
      .min(1)
      .default(["*-genericcloud-*", "*-generic-*"])
      .describe("Which of the stack's images go to OpenStack"),
    clouds: z
      .record(placeNameSchema, cloudSchema)
      .refine((clouds) => Object.keys(clouds).length > 0, "must name a cloud")
      .describe("Clouds, each by a name of your choice"),
  })
  .describe("Images in clouds of OpenStack");
export type OpenstackConfig = z.output<typeof openstackConfigSchema>;
export type OpenstackTarget = z.output<typeof cloudSchema>;

/** How a place's cloud is reached: by the place's own name when nothing else is said. */
export function accessOf(
  place: string,
  { cloud, region }: OpenstackTarget,
): CloudAccess {
  return { cloud: cloud ?? place, ...(region === undefined ? {} : { region }) };
}
