/** Compute Galleries of Azure as places of a stack. */

import { Gallery } from "@pulumi/azure-native/compute/gallery.js";
import { GalleryImage } from "@pulumi/azure-native/compute/galleryImage.js";
import type { Provider } from "@pulumi/azure-native/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { azureProvider } from "../../azure/provider.ts";
import { isNamedBy } from "../../definitions/namePattern.ts";
import { whenGood } from "../goodImages.ts";
import type { Place, PublishableImage } from "../platform.ts";
import type { AzureConfig, AzureTarget } from "./azureConfig.ts";
import { galleryImageName, tagNames } from "./azureNames.ts";
import { AzurePublication } from "./azurePublication.ts";
import { describedImage, hasMachines } from "./galleryImage.ts";

/** All places, each with a provider, and so with credentials and troubles, of its own. */
export function azurePlaces(config: AzureConfig): readonly Place[] {
  return Object.entries(config.places).map(([name, target]) =>
    azurePlace(name, target, config),
  );
}

function azurePlace(
  place: string,
  target: AzureTarget,
  config: AzureConfig,
): Place {
  let shared: Shared | undefined;
  const partsFor = (image: PublishableImage) => {
    shared ??= new Shared(place, target, image.stack);
    return {
      provider: shared.provider,
      galleryImage: shared.galleryImage(image),
    };
  };

  return {
    platform: "azure",
    place,
    formats: ["vhd"],
    formatsField: `cloud-images:azure.places.${place}`,
    takes: (definition) =>
      hasMachines(definition) &&
      config.definitions.some((pattern) => isNamedBy(pattern, definition.name)),

    publish(image) {
      const published = whenGood(image, () => {
        const { imageName, end } = new AzurePublication(
          { image, place, target, config, ...partsFor(image) },
          { parent: image.parent },
        );
        return pulumi.output({ imageName, end });
      });
      return {
        end: published,
        lines: published.apply((found) =>
          found === undefined
            ? []
            : [`  Azure:    ${found.imageName} in ${target.gallery}, ${place}`],
        ),
      };
    },
  };
}

/** What the images of a place have in common. */
class Shared {
  readonly provider: Provider;
  readonly #place: string;
  readonly #target: AzureTarget;
  readonly #tags: Readonly<Record<string, string>>;
  readonly #gallery: Gallery | undefined;
  readonly #images = new Map<string, GalleryImage>();

  constructor(place: string, target: AzureTarget, stack: string) {
    this.#place = place;
    this.#target = target;
    this.#tags = { [tagNames.stack]: stack, [tagNames.place]: place };
    this.provider = azureProvider(`azure-${place}`, target);
    const { gallery, resourceGroup, location, community } = target;
    this.#gallery = target.existingGallery
      ? undefined
      : new Gallery(
          `azure-${place}-gallery`,
          {
            ...{ galleryName: gallery, resourceGroupName: resourceGroup },
            ...{ location, tags: this.#tags },
            description: "Images of Cloud Images",
            ...(community === undefined
              ? {}
              : {
                  sharingProfile: {
                    permissions: "Community",
                    communityGalleryInfo: community,
                  },
                }),
          },
          { provider: this.provider, deleteBeforeReplace: true },
        );
  }

  /** What the versions of an image are versions of; a channel has its own, for its own latest one. */
  galleryImage({ definition, channel }: PublishableImage): GalleryImage {
    const name = galleryImageName({ definition: definition.name, channel });
    const known = this.#images.get(name);
    if (known !== undefined) return known;
    const { gallery, resourceGroup } = this.#target;
    const made = new GalleryImage(
      `${name}-azure-${this.#place}`,
      {
        ...describedImage(this.#target, definition, channel),
        // By this the engine knows that the image goes before its gallery does.
        galleryName: this.#gallery?.urn.apply(() => gallery) ?? gallery,
        resourceGroupName: resourceGroup,
        tags: this.#tags,
      },
      { provider: this.provider, deleteBeforeReplace: true },
    );
    this.#images.set(name, made);
    return made;
  }
}
