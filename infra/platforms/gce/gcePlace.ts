/** Projects of Google Cloud as places of a stack. */

import type { ImageIamBinding } from "@pulumi/gcp/compute/imageIamBinding.js";
import type { Provider } from "@pulumi/gcp/provider.js";
import * as pulumi from "@pulumi/pulumi";
import type { Definition } from "../../definitions/definition.ts";
import { isNamedBy } from "../../definitions/namePattern.ts";
import { provenSha256, whenGood } from "../goodImages.ts";
import type { Place, PublishableImage } from "../platform.ts";
import {
  accessOf,
  type GceConfig,
  type GceTarget,
  membersOf,
} from "./gceConfig.ts";
import { GceImage } from "./gceImage.ts";
import { familyOf, featuresOf, machineOf } from "./gceNames.ts";
import { GcePromotion } from "./gcePromotion.ts";

/** What shares an image needs of @pulumi/gcp, which is loaded only for stacks that share any. */
interface Sharing {
  readonly provider: () => Provider;
  readonly Binding: typeof ImageIamBinding;
}

/** May make disks from an image, and see it. */
const userRole = "roles/compute.imageUser";

/** All targets: each image is in no family there until it is the newest one that came to a good end. */
export function gcePlaces(config: GceConfig): Promise<readonly Place[]> {
  return Promise.all(
    Object.entries(config.targets).map(async ([name, target]) =>
      gcePlace(name, target, config, await sharingOf(name, target)),
    ),
  );
}

async function sharingOf(
  name: string,
  target: GceTarget,
): Promise<Sharing | undefined> {
  if (membersOf(target).length === 0) return undefined;
  const { googleProvider } = await import("../../google/provider.ts");
  const { ImageIamBinding: Binding } = await import(
    "@pulumi/gcp/compute/imageIamBinding.js"
  );
  let known: Provider | undefined;
  const provider = () => {
    known ??= googleProvider(`gce-${name}`, accessOf(target));
    return known;
  };
  return { provider, Binding };
}

function gcePlace(
  place: string,
  target: GceTarget,
  config: GceConfig,
  sharing: Sharing | undefined,
): Place {
  const { bucket, prefix, storageLocation, uploads } = target;
  const access = accessOf(target);
  const images = new Map<string, GceImage>();
  const familyName = (
    { name }: Definition,
    { channel }: Pick<PublishableImage, "channel">,
  ) => familyOf({ definition: name, channel }, config.familyPrefix);

  return {
    platform: "gce",
    place,
    formats: ["tar.gz"],
    formatsField: `cloud-images:gce.targets.${place}`,
    takes: ({ name, architecture }) =>
      machineOf(architecture) !== undefined &&
      config.definitions.some((pattern) => isNamedBy(pattern, name)),

    publish(image) {
      const { stack, store, key, label, definition, channel } = image;
      const { licenses, labels } = config;
      const atOnce = { inPlace: uploads, inAll: image.uploads.atOnce };
      const published = new GceImage(
        `${label}-gce-${place}`,
        {
          ...{ stack, store, key, label, channel, place, access },
          ...{ bucket, prefix, licenses, labels, storageLocation },
          atOnce,
          definition: definition.name,
          version: image.version,
          sha256: provenSha256(image),
          architecture: machineOf(definition.architecture) ?? "X86_64",
          guestOsFeatures: featuresOf(definition, config.guestOsFeatures),
          description: definition.description,
          family: familyName(definition, image),
        },
        {
          parent: image.parent,
          dependsOn: [...image.files, ...image.checks],
        },
      );
      images.set(label, published);
      const { imageName } = published;
      const share = sharing && shared(image, published, sharing);
      return {
        end: pulumi.all([published.id, share]),
        lines: imageName.apply((name) =>
          name === undefined
            ? []
            : [
                `  GCE:      ${name} (${familyName(definition, image)}) in ${target.project}, ${place}`,
              ],
        ),
      };
    },

    point(image, _publication, older) {
      const { stack, store, definition, channel, label } = image;
      const { problems } = new GcePromotion(
        `${definition.name}-gce-${place}-newest`,
        {
          ...{ stack, store, channel, place, access },
          definition: definition.name,
          family: familyName(definition, image),
          imageName: images
            .get(label)
            ?.imageName.apply((imageName) => imageName ?? older?.names?.name),
          imageId: images
            .get(label)
            ?.imageId.apply((imageId) => imageId ?? older?.names?.imageId),
        },
      );
      return problems;
    },
  };

  /** Lets others in, at the very end. */
  function shared(
    image: PublishableImage,
    published: GceImage,
    { provider, Binding }: Sharing,
  ): pulumi.Output<unknown> {
    return whenGood(
      image,
      () =>
        new Binding(
          `${image.label}-gce-${place}-users`,
          {
            project: target.project,
            image: published.imageName as pulumi.Output<string>,
            role: userRole,
            members: [...membersOf(target)],
          },
          {
            parent: image.parent,
            provider: provider(),
            dependsOn: [published],
            deleteBeforeReplace: true,
          },
        ).etag,
    );
  }
}
