/** Azure in a stack's configuration. */

import { z } from "zod";
import {
  type BlobAccess,
  blobAccessSchema,
  subscriptionAccessSchema,
} from "../../azure/access.ts";
import { regions } from "../../azure/regions.ts";
import { namePatternSchema } from "../../definitions/namePattern.ts";
import { imageVersionSchema, placeNameSchema } from "../../store/records.ts";

const resourceGroup = z
  .string()
  .regex(
    /^[\w().-]{0,89}[\w()-]$/,
    "must be the name of a resource group, of 90 characters at most",
  );

const region = z.enum(regions, {
  error: (issue) =>
    `must be the name of a region of Azure, such as westeurope, and not ${JSON.stringify(issue.input)}`,
});

/** What users of a community gallery are told of those who publish. */
const communitySchema = z.strictObject({
  publicNamePrefix: z
    .string()
    .regex(/^[A-Za-z0-9]{5,16}$/, "must be 5 to 16 letters and digits"),
  publisherUri: z.url({ protocol: /^https?$/ }),
  publisherContact: z.email(),
  eula: z.string().min(1),
});

/**
 * What a VHD may be a disk of: it has no state of a machine's own (VMGS), and `TrustedLaunch` and `ConfidentialVM` are
 * for captured machines and disks that have one. Machines of `TrustedLaunchSupported` may have Trusted Launch
 * (learn.microsoft.com, "Deploy a Trusted Launch VM", "Trusted Launch VM supported images").
 */
const securityTypes = [
  "TrustedLaunchSupported",
  "TrustedLaunchAndConfidentialVmSupported",
  "ConfidentialVmSupported",
  "Standard",
] as const;

const { account, container, secretFrom, endpoint } = blobAccessSchema.shape;

const targetSchema = z
  .strictObject({
    ...subscriptionAccessSchema.shape,
    resourceGroup: resourceGroup.describe("Where the gallery is"),
    location: region.describe("Where the gallery, and the storage account, is"),
    storage: z
      .strictObject({
        ...{ account, container, secretFrom, endpoint },
        resourceGroup: resourceGroup
          .optional()
          .describe("That of the gallery when left out"),
        uploads: z
          .int()
          .positive()
          .max(20)
          .default(2)
          .describe(
            "How many disks are sent to the account and read back at once",
          ),
      })
      .describe("Where disks are kept as blobs"),
    gallery: z
      .string()
      .regex(
        /^(?=.{1,80}$)[A-Za-z0-9]+([._]+[A-Za-z0-9]+)*$/,
        "must be the name of a gallery: letters and digits, with dots and underscores between them",
      ),
    existingGallery: z
      .boolean()
      .default(false)
      .describe("The gallery is there, and somebody else's to change"),
    publisher: z
      .string()
      .regex(
        /^[A-Za-z0-9][\w.-]{0,78}[\w-]$/,
        "must be the name of a publisher: letters, digits, dots, hyphens and underscores",
      )
      .describe("Who publishes, in the identifiers of image definitions"),
    regions: z
      .partialRecord(
        region,
        z.strictObject({
          replicas: z
            .int()
            .min(1)
            // Azure Compute Gallery's limits: 100 replicas of an image version.
            .max(100)
            .default(1)
            .describe("How many copies; each serves 20 to 50 machines at once"),
          storage: z
            .enum(["Standard_LRS", "Standard_ZRS", "Premium_LRS"])
            .default("Standard_LRS"),
        }),
      )
      .optional()
      .describe("Where versions are copied to; the location when left out"),
    securityType: z
      .enum(securityTypes)
      .default("TrustedLaunchSupported")
      .describe("Which kinds of machines the images are for"),
    community: communitySchema
      .optional()
      .describe("Offers the gallery to everybody"),
  })
  .superRefine((target, context) => {
    const complain = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message });
    const { regions, location, community, existingGallery } = target;
    if (regions !== undefined && regions[location] === undefined) {
      complain(
        "regions",
        `must have ${location}, the gallery's own location, too`,
      );
    }
    if (community !== undefined && existingGallery) {
      complain("community", "is for its owner to say of an existing gallery");
    }
  });

export const azureConfigSchema = z
  .strictObject({
    definitions: z
      .array(namePatternSchema)
      .min(1)
      .default(["*-azure-*"])
      .describe("Which of the stack's images go to Azure"),
    places: z
      .record(placeNameSchema, targetSchema)
      .refine((places) => Object.keys(places).length > 0, "must name a place")
      .describe("Galleries, each by a name of your choice"),
    endOfLifeDays: z
      .int()
      .positive()
      .default(730)
      .describe("When a version's life ends, counted from its day"),
    withheld: z
      .array(imageVersionSchema)
      .default([])
      .describe("Versions that nobody is to get who asks for the latest one"),
  })
  .superRefine(({ places }, context) => {
    const seen = new Map<string, string>();
    for (const [name, target] of Object.entries(places)) {
      const { subscription, resourceGroup, gallery } = target;
      const id = [subscription, resourceGroup, gallery].join("/").toLowerCase();
      const same = seen.get(id);
      seen.set(id, name);
      if (same === undefined) continue;
      context.addIssue({
        code: "custom",
        path: ["places", name, "gallery"],
        message: `must not be that of ${same}, where the images would have the same names`,
      });
    }
  })
  .describe("Image versions in Compute Galleries of Azure");
export type AzureConfig = z.output<typeof azureConfigSchema>;
export type AzureTarget = z.output<typeof targetSchema>;

/** How a place's container is reached. */
export function blobAccessOf({ tenant, storage }: AzureTarget): BlobAccess {
  const { account, container, secretFrom, endpoint } = storage;
  return {
    ...{ account, container },
    ...(tenant === undefined ? {} : { tenant }),
    ...(secretFrom === undefined ? {} : { secretFrom }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}
