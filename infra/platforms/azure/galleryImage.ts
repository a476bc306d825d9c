/** What a Compute Gallery is told of an image and of its versions. Pure. */

import type { GalleryImageArgs } from "@pulumi/azure-native/compute/galleryImage.js";
import type { GalleryImageVersionArgs } from "@pulumi/azure-native/compute/galleryImageVersion.js";
import type {
  Architecture,
  Definition,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { AzureConfig, AzureTarget } from "./azureConfig.ts";
import { endOfLife, galleryImageName, resourceGroupId } from "./azureNames.ts";

/** Azure's names for the architectures that it has machines of. */
const architectures: Readonly<Partial<Record<Architecture, string>>> = {
  amd64: "x64",
  arm64: "Arm64",
};

/** Whether Azure has machines that an image starts on: those of generation 2 have UEFI. */
export function hasMachines({ architecture, bootCheck }: Definition): boolean {
  const hasUefi = bootCheck.firmware.some((each) => each.startsWith("uefi"));
  return architectures[architecture] !== undefined && hasUefi;
}

/** All of an image definition but its gallery and its tags. */
export function describedImage(
  { securityType, publisher, location }: AzureTarget,
  { name, architecture, description, release }: Definition,
  channel: ImageType,
) {
  const galleryImage = galleryImageName({ definition: name, channel });
  return {
    galleryImageName: galleryImage,
    location,
    description,
    identifier: {
      publisher,
      offer: `debian-${release.version}`,
      sku: galleryImage,
    },
    osType: "Linux",
    osState: "Generalized",
    hyperVGeneration: "V2",
    architecture: architectures[architecture] ?? "",
    features: [
      // In the API of 2024-03-03, what is left out is a standard one; from 2025-03-03 on, `TrustedLaunchSupported`.
      ...(securityType === "Standard"
        ? []
        : [{ name: "SecurityType", value: securityType }]),
      { name: "IsAcceleratedNetworkSupported", value: "True" },
      { name: "DiskControllerTypes", value: "SCSI, NVMe" },
    ],
  } satisfies Omit<GalleryImageArgs, "galleryName" | "resourceGroupName">;
}

/** For whom a version is, and for how long. */
export function publishingProfile(
  { regions, location }: AzureTarget,
  { endOfLifeDays, withheld }: Pick<AzureConfig, "endOfLifeDays" | "withheld">,
  version: ImageVersion,
) {
  const targets = regions ?? {
    [location]: { replicas: 1, storage: "Standard_LRS" },
  };
  return {
    endOfLifeDate: endOfLife(version, endOfLifeDays),
    excludeFromLatest: withheld.includes(version),
    targetRegions: Object.entries(targets).map(
      ([name, { replicas, storage }]) => ({
        name,
        regionalReplicaCount: replicas,
        storageAccountType: storage,
      }),
    ),
  } satisfies GalleryImageVersionArgs["publishingProfile"];
}

/** The ID of the storage account that the disks are in. */
export function storageAccountId({
  subscription,
  resourceGroup,
  storage,
}: AzureTarget): string {
  const group = resourceGroupId(
    subscription,
    storage.resourceGroup ?? resourceGroup,
  );
  return `${group}/providers/Microsoft.Storage/storageAccounts/${storage.account}`;
}
