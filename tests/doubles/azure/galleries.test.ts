import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Properties } from "../values.ts";
import { AzureCloud, azureStateVariable } from "./cloud.ts";
import { galleryKinds } from "./galleries.ts";

const kinds = new Map(galleryKinds);
const subscriptionId = "01234567-89ab-cdef-0123-456789abcdef";
const common = {
  ...{ resourceGroupName: "images", galleryName: "debian" },
  location: "westeurope",
};
const communityGalleryInfo = { publicNamePrefix: "teamimages" };
const image = {
  ...common,
  galleryImageName: "debian-13",
  ...{ architecture: "x64", hyperVGeneration: "V2" },
  features: [{ name: "SecurityType", value: "TrustedLaunchSupported" }],
};

let directory: string;
let cloud: AzureCloud;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "azure-double-"));
  vi.stubEnv(azureStateVariable, directory);
  cloud = new AzureCloud({ subscriptionId });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

function kindOf(name: "Gallery" | "GalleryImage") {
  const kind = kinds.get(`azure-native:compute:${name}`);
  if (kind === undefined) throw new Error(`There is no ${name}.`);
  return kind;
}

async function change(
  name: "Gallery" | "GalleryImage",
  inputs: Properties,
  changed: Properties,
): Promise<Properties> {
  const { id, outputs } = await kindOf(name).create(cloud, inputs);
  return kindOf(name).update(cloud, id, outputs, { ...inputs, ...changed });
}

test("no gallery becomes a community gallery", async () => {
  const sharingProfile = { permissions: "Community", communityGalleryInfo };
  await expect(change("Gallery", common, { sharingProfile })).rejects.toThrow(
    "sharingProfile.permissions",
  );
});

test("a community gallery may be told of another publisher", async () => {
  const told = (publisherUri: string) => ({
    sharingProfile: {
      permissions: "Community",
      communityGalleryInfo: { ...communityGalleryInfo, publisherUri },
    },
  });
  const inputs = { ...common, ...told("https://team.example") };
  const changed = told("https://other.example");
  expect(await change("Gallery", inputs, changed)).toMatchObject(changed);
});

test("the features of an image definition change only where that is asked for", async () => {
  await kindOf("Gallery").create(cloud, common);
  const features = [{ name: "SecurityType", value: "ConfidentialVmSupported" }];
  await expect(change("GalleryImage", image, { features })).rejects.toThrow(
    "allowUpdateImage",
  );
  const other = { ...image, galleryImageName: "debian-14" };
  expect(
    await change("GalleryImage", other, { features, allowUpdateImage: true }),
  ).toMatchObject({ features });
});
