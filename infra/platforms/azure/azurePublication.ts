import type { GalleryImage } from "@pulumi/azure-native/compute/galleryImage.js";
import { GalleryImageVersion } from "@pulumi/azure-native/compute/galleryImageVersion.js";
import type { Provider } from "@pulumi/azure-native/provider.js";
import * as pulumi from "@pulumi/pulumi";
import type { ImageVersion } from "../../definitions/definition.ts";
import type { PublishableImage } from "../platform.ts";
import {
  type AzureConfig,
  type AzureTarget,
  blobAccessOf,
} from "./azureConfig.ts";
import {
  galleryImageName,
  galleryVersionId,
  galleryVersionName,
  tagNames,
} from "./azureNames.ts";
import { publishingProfile, storageAccountId } from "./galleryImage.ts";
import { GalleryRecord } from "./galleryRecord.ts";
import { PageBlob } from "./pageBlob.ts";

/** An image version, and the gallery that it goes to. */
export interface AzurePublicationArgs {
  readonly image: PublishableImage;
  /** The place's name. */
  readonly place: string;
  readonly target: AzureTarget;
  readonly config: AzureConfig;
  readonly provider: Provider;
  /** What it becomes a version of. */
  readonly galleryImage: GalleryImage;
}

/**
 * A version in a Compute Gallery whose disk was read back and is the published image. Its parts come one after the
 * other: the blob, the version, the record. Nobody gets it as the latest one before its disk is proven, since it does not
 * exist before (docs/decisions/0021-image-versions-come-promoted.md).
 */
export class AzurePublication extends pulumi.ComponentResource {
  /** `debian-13-azure-amd64 0.20261121.312`. */
  readonly imageName: pulumi.Output<string>;
  /** Comes last. */
  readonly end: pulumi.Output<unknown>;

  constructor(
    {
      image,
      place,
      target,
      config,
      provider,
      galleryImage,
    }: AzurePublicationArgs,
    options: pulumi.ComponentResourceOptions,
  ) {
    const name = `${image.label}-azure-${place}`;
    super("cloud-images:azure:AzurePublication", name, {}, options);
    const { stack, store, key, label, channel } = image;
    const definition = image.definition.name;
    const series = { definition, channel };
    // An image that has neither is not declared here; one that is published keeps them while it cannot be built again.
    const version = image.version.apply(
      (version) => version ?? image.record?.version,
    ) as pulumi.Output<ImageVersion>;
    const sha256 = pulumi
      .output(image.files[0]?.sha256)
      .apply(
        (sha256) => sha256 ?? image.record?.verification?.sha256,
      ) as pulumi.Output<string>;
    const { gallery, resourceGroup, location } = target;

    const blob = new PageBlob(
      `${name}-blob`,
      {
        ...{ stack, store, key, label, definition, channel, place },
        ...{ version, sha256, access: blobAccessOf(target) },
        atOnce: {
          ...{ inPlace: target.storage.uploads, inAll: image.uploads.atOnce },
        },
      },
      { parent: this, dependsOn: [...image.files, ...image.checks] },
    );
    const galleryVersion = new GalleryImageVersion(
      `${name}-version`,
      {
        galleryName: gallery,
        resourceGroupName: resourceGroup,
        // By this the engine knows that the version goes before its image does.
        galleryImageName: galleryImage.urn.apply(() =>
          galleryImageName(series),
        ),
        galleryImageVersionName: version.apply(galleryVersionName),
        location,
        publishingProfile: version.apply((version) =>
          publishingProfile(target, config, version),
        ),
        safetyProfile: { allowDeletionOfReplicatedLocations: true },
        storageProfile: {
          osDiskImage: {
            source: {
              uri: blob.url,
              storageAccountId: storageAccountId(target),
            },
          },
        },
        tags: pulumi.all([version, sha256]).apply(
          ([version, sha256]): Record<string, string> => ({
            [tagNames.stack]: stack,
            [tagNames.place]: place,
            [tagNames.key]: key,
            [tagNames.version]: version,
            [tagNames.sha256]: sha256,
          }),
        ),
      },
      {
        ...{ parent: this, provider, dependsOn: [galleryImage, blob] },
        // A name is free only when the version before has gone.
        deleteBeforeReplace: true,
        // What it was made from may come to be elsewhere: the version is what it was.
        ignoreChanges: ["storageProfile"],
      },
    );
    const imageName = version.apply(
      (version) => `${galleryImageName(series)} ${galleryVersionName(version)}`,
    );
    const record = new GalleryRecord(
      `${name}-record`,
      {
        ...{ stack, store, key, definition, version, channel, place },
        ...{ name: imageName, gallery, blob: blob.url },
        versionId: version.apply((version) =>
          galleryVersionId(target, series, version),
        ),
        verification: blob.verification,
      },
      { parent: this, dependsOn: [galleryVersion] },
    );

    this.imageName = imageName;
    this.end = record.id;
    this.registerOutputs({ imageName });
  }
}
