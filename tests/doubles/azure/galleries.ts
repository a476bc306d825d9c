/** Galleries, image definitions and versions, with what Azure refuses of them. */

import { join } from "node:path";
import {
  PageBlobClient,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { regions } from "../../../infra/azure/regions.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { azuriteAccount, azuriteKey } from "../../servers/azurite.ts";
import type { ResourceKind } from "../resourceKind.ts";
import { DeclaredShapes } from "../shapes.ts";
import { isList, isObject, type Properties, type Value } from "../values.ts";
import { type AzureCloud, RefusedByAzure } from "./cloud.ts";

export const shapes = new DeclaredShapes(
  join(projectPath("node_modules"), "@pulumi/azure-native"),
);

/** One type of resource of the Resource Manager: named by its place, and never made over one that is there. */
function kindOf({
  module,
  name,
  nameProperty,
  updatable,
  parents,
  refuse,
  refuseChange,
}: {
  readonly module: string;
  readonly name: string;
  readonly nameProperty: string;
  readonly updatable: readonly string[];
  /** Types and names of what it is in, below the resource group, and its own. */
  readonly parents: (inputs: Properties) => readonly string[];
  /** Throws what Azure says of inputs that have the right shape. */
  readonly refuse: (
    cloud: AzureCloud,
    inputs: Properties,
    parent: Properties | undefined,
  ) => Promise<void> | void;
  /** Throws what Azure says of a change of what is there. */
  readonly refuseChange?: (olds: Properties, news: Properties) => void;
}): ResourceKind<AzureCloud> {
  const idOf = (cloud: AzureCloud, inputs: Properties) =>
    [
      "/subscriptions",
      ...[cloud.subscription, "resourceGroups", inputs.resourceGroupName],
      ...["providers", "Microsoft.Compute", ...parents(inputs)],
    ].join("/");
  const parentIdOf = (id: string) => id.split("/").slice(0, -2).join("/");
  const check = async (cloud: AzureCloud, id: string, inputs: Properties) => {
    const location = String(inputs.location);
    if (!(regions as readonly string[]).includes(location)) {
      throw new RefusedByAzure(
        400,
        "LocationNotAvailableForResourceType",
        `The provided location '${location}' is not available.`,
      );
    }
    const isTop = parents(inputs).length === 2;
    const parent = isTop ? undefined : await cloud.files.get(parentIdOf(id));
    if (!isTop && parent === undefined) {
      throw new RefusedByAzure(
        404,
        "ParentResourceNotFound",
        `Can not perform requested operation on nested resource. Parent resource '${parentIdOf(id)}' not found.`,
      );
    }
    await refuse(cloud, inputs, parent);
  };

  return {
    shape: shapes.ofResource(module, name),
    nameProperty,
    updatable: new Set(updatable),
    computed: new Set(),
    outputs: ["name", "type", "provisioningState"],

    async create(cloud, inputs) {
      await cloud.reach();
      const id = idOf(cloud, inputs);
      await cloud.files.note(`PUT ${id.split("/").at(-1)}`);
      if ((await cloud.files.get(id)) !== undefined) {
        throw new Error(`cannot create already existing resource '${id}'`);
      }
      await check(cloud, id, inputs);
      const resource = { ...inputs, provisioningState: "Succeeded" };
      await cloud.files.put(id, resource);
      await cloud.files.answer(name);
      return { id, outputs: resource };
    },

    async read(cloud, id) {
      await cloud.reach();
      const found = await cloud.files.get(id);
      if (found === undefined) return undefined;
      const { id: _, ...resource } = found;
      return resource;
    },

    async update(cloud, id, _olds, news) {
      await cloud.reach();
      await cloud.files.note(`PUT ${id.split("/").at(-1)}`);
      refuseChange?.((await cloud.files.get(id)) ?? {}, news);
      await check(cloud, id, news);
      const resource = { ...news, provisioningState: "Succeeded" };
      await cloud.files.put(id, resource);
      return resource;
    },

    async delete(cloud, id) {
      await cloud.reach();
      await cloud.files.note(`DELETE ${id.split("/").at(-1)}`);
      if ((await cloud.files.below(id)).length > 0) {
        throw new RefusedByAzure(
          409,
          "CannotDeleteResource",
          `Can not delete resource before nested resources are deleted: ${id}`,
        );
      }
      await cloud.files.remove(id);
    },
  };
}

function refuseUnless(isRight: boolean, message: string): void {
  if (!isRight) throw new RefusedByAzure(400, "InvalidParameter", message);
}

const galleryKind = kindOf({
  module: "compute/gallery",
  name: "Gallery",
  nameProperty: "galleryName",
  updatable: ["description", "sharingProfile", "softDeletePolicy", "tags"],
  parents: ({ galleryName }) => ["galleries", String(galleryName)],
  refuse(_cloud, { galleryName, sharingProfile }) {
    refuseUnless(
      /^(?=.{1,80}$)[A-Za-z0-9][A-Za-z0-9_.]*[A-Za-z0-9]$/.test(
        String(galleryName),
      ),
      `The gallery name '${galleryName}' is invalid.`,
    );
    const isCommunity =
      isObject(sharingProfile) && sharingProfile.permissions === "Community";
    refuseUnless(
      !isCommunity || isObject(sharingProfile.communityGalleryInfo),
      "Required parameter 'communityGalleryInfo' is missing.",
    );
  },
  // "You can't convert an existing private gallery to a community gallery" (learn.microsoft.com, "Share images by using
  // a community gallery").
  refuseChange(olds, news) {
    refuseUnless(
      permissionsOf(olds) === permissionsOf(news),
      "Changing property 'sharingProfile.permissions' is not allowed.",
    );
  },
});

function permissionsOf({ sharingProfile }: Properties): Value {
  const permissions = isObject(sharingProfile ?? null)
    ? (sharingProfile as Properties).permissions
    : undefined;
  return permissions ?? "Private";
}

const features = {
  SecurityType: [
    "TrustedLaunchSupported",
    "TrustedLaunch",
    "TrustedLaunchAndConfidentialVmSupported",
    "ConfidentialVmSupported",
    "ConfidentialVM",
  ],
  IsAcceleratedNetworkSupported: ["True", "False"],
  DiskControllerTypes: ["SCSI", "SCSI, NVMe"],
};

function featureOf(image: Properties, name: string): string | undefined {
  const all = isList(image.features) ? image.features : [];
  const found = all.find((each) => isObject(each) && each.name === name);
  return isObject(found) ? String(found.value) : undefined;
}

const galleryImageKind = kindOf({
  module: "compute/galleryImage",
  name: "GalleryImage",
  nameProperty: "galleryImageName",
  updatable: [
    ...["allowUpdateImage", "description", "endOfLifeDate", "features", "tags"],
  ],
  parents: ({ galleryName, galleryImageName }) => [
    ...["galleries", String(galleryName)],
    ...["images", String(galleryImageName)],
  ],
  async refuse(cloud, inputs, gallery) {
    const { galleryImageName, hyperVGeneration, architecture } = inputs;
    refuseUnless(
      /^(?=.{1,80}$)[A-Za-z0-9][\w.-]*[A-Za-z0-9]$/.test(
        String(galleryImageName),
      ),
      `The image definition name '${galleryImageName}' is invalid.`,
    );
    refuseUnless(
      ["x64", "Arm64"].includes(String(architecture)),
      `The architecture '${architecture}' is invalid.`,
    );
    for (const [name, values] of Object.entries(features)) {
      const value = featureOf(inputs, name);
      refuseUnless(
        value === undefined || values.includes(value),
        `The value '${value}' of the feature '${name}' is invalid.`,
      );
    }
    refuseUnless(
      featureOf(inputs, "SecurityType") === undefined ||
        hyperVGeneration === "V2",
      "The feature 'SecurityType' is only for generation V2.",
    );
    const siblings = await cloud.files.below(String(gallery?.id));
    const isTaken = siblings.some(
      (other) =>
        other.galleryImageName !== galleryImageName &&
        isObject(other.identifier) &&
        JSON.stringify(other.identifier) === JSON.stringify(inputs.identifier),
    );
    if (isTaken) {
      throw new RefusedByAzure(
        409,
        "Conflict",
        "There is another image definition with this publisher, offer and sku.",
      );
    }
  },
  // "Must be set to true if the gallery image features are being updated" (allowUpdateImage, API of 2024-03-03).
  refuseChange(olds, news) {
    refuseUnless(
      news.allowUpdateImage === true ||
        JSON.stringify(olds.features) === JSON.stringify(news.features),
      "Changing property 'features' is not allowed without 'allowUpdateImage'.",
    );
  },
});

/** Whether all that is wanted is there: unlike Terraform's, this plugin takes what is false for what is said. */
function hasAll(old: Value | undefined, wanted: Value | undefined): boolean {
  if (isList(wanted)) {
    return (
      isList(old) &&
      old.length === wanted.length &&
      wanted.every((item, index) => hasAll(old[index], item))
    );
  }
  if (isObject(wanted)) {
    return (
      isObject(old) &&
      Object.entries(wanted).every(([name, value]) => hasAll(old[name], value))
    );
  }
  return old === wanted;
}

const galleryVersionKind: ResourceKind<AzureCloud> = {
  ...kindOf({
    module: "compute/galleryImageVersion",
    name: "GalleryImageVersion",
    nameProperty: "galleryImageVersionName",
    updatable: ["publishingProfile", "safetyProfile", "storageProfile", "tags"],
    parents: (inputs) => [
      ...["galleries", String(inputs.galleryName)],
      ...["images", String(inputs.galleryImageName)],
      ...["versions", String(inputs.galleryImageVersionName)],
    ],
    async refuse(cloud, inputs, image) {
      const { galleryImageVersionName: name, location } = inputs;
      const numbers = String(name).split(".");
      refuseUnless(
        numbers.length === 3 &&
          numbers.every(
            (each) => /^(0|[1-9]\d*)$/.test(each) && Number(each) < 2 ** 31,
          ),
        `The gallery image version name '${name}' is invalid.`,
      );
      const { publishingProfile, storageProfile } = inputs;
      const targets = isObject(publishingProfile)
        ? publishingProfile.targetRegions
        : undefined;
      const names = (isList(targets) ? targets : []).map((target) =>
        isObject(target) ? String(target.name) : "",
      );
      for (const each of names) {
        refuseUnless(
          (regions as readonly string[]).includes(each),
          `The target region '${each}' is invalid.`,
        );
      }
      refuseUnless(
        names.includes(String(location)),
        `The publishing profile must have the source region '${location}'.`,
      );
      refuseUnless(
        featureOf(image ?? {}, "SecurityType") !== "TrustedLaunch",
        "The security type 'TrustedLaunch' is not supported for a Vhd Blob.",
      );
      await refuseWrongBlob(cloud, storageProfile);
    },
  }),
  same: { publishingProfile: hasAll },
};

/** Azure takes a whole page blob of the subscription's own storage account, and copies it. */
async function refuseWrongBlob(
  cloud: AzureCloud,
  storageProfile: Value | undefined,
): Promise<void> {
  const disk = isObject(storageProfile) ? storageProfile.osDiskImage : null;
  const source = isObject(disk ?? null) ? (disk as Properties).source : null;
  const { uri, storageAccountId } = isObject(source ?? null)
    ? (source as Properties)
    : {};
  refuseUnless(
    String(storageAccountId).startsWith(
      `/subscriptions/${cloud.subscription}/resourceGroups/`,
    ),
    `The storage account '${storageAccountId}' is not found.`,
  );
  const blob = new PageBlobClient(
    String(uri),
    new StorageSharedKeyCredential(azuriteAccount, azuriteKey),
  );
  const found = await blob.getProperties().catch(() => undefined);
  refuseUnless(
    found?.blobType === "PageBlob",
    `The source blob '${uri}' does not exist.`,
  );
  refuseUnless(
    (found?.contentLength ?? 0) % 1024 ** 2 === 512,
    `The size of the source blob '${uri}' is not a whole number of MiB.`,
  );
  const footer = await blob.downloadToBuffer(
    (found?.contentLength ?? 0) - 512,
    512,
  );
  refuseUnless(
    footer.toString("latin1", 0, 8) === "conectix",
    `The source blob '${uri}' is no VHD.`,
  );
}

export const galleryKinds = [
  ["azure-native:compute:Gallery", galleryKind],
  ["azure-native:compute:GalleryImage", galleryImageKind],
  ["azure-native:compute:GalleryImageVersion", galleryVersionKind],
] as const;
