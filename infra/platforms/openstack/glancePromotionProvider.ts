/** What stands behind {@link GlancePromotion}: one name of a cloud's Glance, and the image that has it. */

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { ImageKey, ImageVersion } from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import { PublicationError } from "../../errors.ts";
import type { CloudAccess } from "../../openstack/cloud.ts";
import { type Image, ImageApi } from "../../openstack/imageApi.ts";
import {
  Session,
  type SessionSettings,
  usualSettings,
  waitingFor,
} from "../../openstack/session.ts";
import { readPublication } from "../../store/documents.ts";
import { openStore } from "../../store/openStore.ts";
import {
  datedName,
  type ImageSeries,
  isOriginal,
  keyProperty,
  seriesName,
  seriesProperties,
  versionProperty,
} from "./glanceNames.ts";
import { withImageLock } from "./imageLock.ts";

/** Of which images one is promoted, and which one. */
export interface GlancePromotionInputs extends ImageSeries {
  /** The store's address. */
  readonly store: string;
  readonly access: CloudAccess;
  /** None while there is no image, as the only one failed and was allowed to. */
  readonly imageId?: string | undefined;
  /** How long a cloud that does not answer is waited for; as usual when left out. */
  readonly waitSeconds?: number | undefined;
}

/** The promotion as it was made. */
export interface GlancePromotionOutputs extends GlancePromotionInputs {
  readonly problems: readonly string[];
}

/** Who holds the lock may wait for an image that is being sent. */
const lockPatienceSeconds = 7 * 3600;

/**
 * The resource's ways.
 *
 * @param settings how patient it is with clouds
 */
export function glancePromotions(
  settings: SessionSettings,
): Implementation<GlancePromotionInputs, GlancePromotionOutputs> {
  const apiOf = async ({ access, waitSeconds }: GlancePromotionInputs) =>
    new ImageApi(await Session.open(access, waitingFor(settings, waitSeconds)));

  const provide = async (
    inputs: GlancePromotionInputs,
  ): Promise<GlancePromotionOutputs> => {
    const { imageId } = inputs;
    if (imageId === undefined) return { ...inputs, problems: [] };
    return withLock(inputs, async () => {
      const api = await apiOf(inputs);
      const image = await api.find(imageId);
      if (image?.status !== "active" || !isOriginal(image)) {
        throw new PublicationError(
          `${seriesName(inputs)} in ${inputs.place} stays what it was: the image ${imageId}, which is to have the name, is ${image?.status ?? "not there"}. Run \`pulumi up --refresh\`.`,
        );
      }
      // First the new one: whoever asks for the name meanwhile finds two, and never none.
      await api.change(image, { name: seriesName(inputs), os_hidden: false });
      for (const other of await originals(api, inputs)) {
        if (other.id !== imageId) await giveWay(api, inputs, other);
      }
      return { ...inputs, problems: [] };
    });
  };

  return {
    async create(inputs) {
      const outputs = await provide(inputs);
      return { id: `${inputs.place}/${seriesName(inputs)}`, outputs };
    },

    async read(_id, outputs) {
      const { imageId } = outputs;
      if (imageId === undefined) return outputs;
      const name = seriesName(outputs);
      const images = await originals(await apiOf(outputs), outputs);
      const named = images.filter(
        (image) => image.name === name || !image.os_hidden,
      );
      const isRight = ({ id, os_hidden, ...image }: Image) =>
        id === imageId && image.name === name && !os_hidden;
      const problems = [
        ...(named.some(isRight)
          ? []
          : [`${name} is not the name of the image ${imageId}`]),
        ...named
          .filter(({ id }) => id !== imageId)
          .map(({ id }) => `the image ${id} is shown beside ${imageId}`),
      ];
      return { ...outputs, problems };
    },

    diff(outputs, inputs) {
      // What there is stays while nothing better can be had.
      if (inputs.imageId === undefined) return { replaces: [], updates: [] };
      const changed = (names: readonly (keyof GlancePromotionInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      return {
        replaces: changed([
          ...(["stack", "place", "definition", "channel", "access"] as const),
        ]),
        updates: [
          ...changed(["imageId", "store"]),
          ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ],
      };
    },

    update(_id, _outputs, inputs) {
      return provide(inputs);
    },

    async delete(_id, outputs) {
      const { imageId } = outputs;
      if (imageId === undefined) return;
      await withLock(outputs, async () => {
        const api = await apiOf(outputs);
        const image = await api.find(imageId);
        if (image !== undefined && isOriginal(image)) {
          await demote(api, outputs, image);
        }
      });
    },
  };
}

export const implementation = glancePromotions(usualSettings);

/** Hides an image that is not the newest one, or removes it where no run knows of it. */
async function giveWay(
  api: ImageApi,
  inputs: GlancePromotionInputs,
  other: Image,
): Promise<void> {
  if (await isRecorded(inputs, other)) return demote(api, inputs, other);
  const key = String(other[keyProperty]) as ImageKey;
  // An image is recorded before the lock is given back, by those who live to do so.
  await withImageLock({ ...inputs, key }, async () => {
    const current = await api.find(other.id);
    if (current === undefined) return;
    if (await isRecorded(inputs, current)) await demote(api, inputs, current);
    else await api.remove(current.id);
  });
}

/** Hides an image, and gives its name back. */
function demote(
  api: ImageApi,
  series: ImageSeries,
  image: Image,
): Promise<void> {
  return api.change(image, {
    name: datedName(series, versionOf(image)),
    os_hidden: true,
  });
}

/** Whether the store knows an image as published: others belong to nobody any more. */
async function isRecorded(
  { store, place, definition, channel }: GlancePromotionInputs,
  image: Image,
): Promise<boolean> {
  const version = versionOf(image);
  const record = await readPublication(openStore(store), {
    ...{ platform: "openstack", place, definition, channel, version },
  });
  return record?.names?.imageId === image.id;
}

function versionOf(image: Image): ImageVersion {
  return String(image[versionProperty]) as ImageVersion;
}

/** All images of the series that we made. */
async function originals(
  api: ImageApi,
  series: ImageSeries,
): Promise<readonly Image[]> {
  return (await api.list(seriesProperties(series))).filter(isOriginal);
}

/** Runs where nobody else, in this process or another, gives the name to an image. */
function withLock<T>(
  inputs: GlancePromotionInputs,
  use: () => Promise<T>,
): Promise<T> {
  const name = createHash("sha256")
    .update(JSON.stringify([seriesProperties(inputs), inputs.access]))
    .digest("hex");
  return openStore(inputs.store).withLock(
    `openstack-promotion-${name.slice(0, 32)}`,
    lockPatienceSeconds,
    use,
  );
}
