/** Clouds of OpenStack as places of a stack. */

import type { DefinitionName } from "../../definitions/definition.ts";
import { isNamedBy } from "../../definitions/namePattern.ts";
import { provenSha256 } from "../goodImages.ts";
import type { Place } from "../platform.ts";
import { GlanceImage } from "./glanceImage.ts";
import { machineProperties, seriesName } from "./glanceNames.ts";
import { GlancePromotion } from "./glancePromotion.ts";
import {
  accessOf,
  type OpenstackConfig,
  type OpenstackTarget,
} from "./openstackConfig.ts";

/** All clouds: each image is hidden there until it is the newest one that came to a good end. */
export function openstackPlaces({
  definitions,
  clouds,
}: OpenstackConfig): readonly Place[] {
  const takes = (name: DefinitionName) =>
    definitions.some((pattern) => isNamedBy(pattern, name));
  return Object.entries(clouds).map(([place, target]) =>
    openstackPlace(place, target, takes),
  );
}

function openstackPlace(
  place: string,
  target: OpenstackTarget,
  takes: (name: DefinitionName) => boolean,
): Place {
  const { format, visibility, projects, properties, uploads, waitSeconds } =
    target;
  const access = accessOf(place, target);
  const images = new Map<string, GlanceImage>();

  return {
    platform: "openstack",
    place,
    // The raw image is there anyway.
    formats: format === "raw" ? [] : [format],
    formatsField: `cloud-images:openstack.clouds.${place}.format`,
    takes: ({ name }) => takes(name),

    publish(image) {
      const { stack, store, key, label, definition, channel } = image;
      const atOnce = { inCloud: uploads, inAll: image.uploads.atOnce };
      const published = new GlanceImage(
        `${label}-openstack-${place}`,
        {
          ...{ stack, store, key, label, channel, place, access, format },
          definition: definition.name,
          version: image.version,
          sha256: provenSha256(image),
          minDiskGiB: Math.ceil(definition.disk.sizeGiB),
          properties: { ...machineProperties(definition), ...properties },
          ...{ visibility, members: projects, atOnce, waitSeconds },
        },
        {
          parent: image.parent,
          dependsOn: [...image.files, ...image.checks],
        },
      );
      images.set(label, published);
      const name = seriesName({ definition: definition.name, channel });
      return {
        end: published.id,
        lines: published.imageId.apply((imageId) =>
          imageId === undefined
            ? []
            : [`  Glance:   ${imageId} (${name}) in ${place}`],
        ),
      };
    },

    point({ stack, store, definition, channel, label }, _publication, older) {
      const imageId = images
        .get(label)
        ?.imageId.apply((imageId) => imageId ?? older?.names?.imageId);
      const { problems } = new GlancePromotion(
        `${definition.name}-openstack-${place}-newest`,
        {
          ...{ stack, store, channel, place, access, imageId, waitSeconds },
          definition: definition.name,
        },
      );
      return problems;
    },
  };
}
