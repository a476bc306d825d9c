/** What stands behind {@link GcePromotion}: which image of a series its family leads to. */

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Implementation } from "../../dynamic/provider.ts";
import { PublicationError, UserError } from "../../errors.ts";
import type { GoogleAccess } from "../../google/access.ts";
import {
  ComputeApi,
  type ComputeImage,
  type Patience,
  usualPatience,
} from "../../google/computeApi.ts";
import { openStore } from "../../store/openStore.ts";
import { isStranger } from "./gceImageProvider.ts";
import { carriesLabels, type ImageSeries, seriesLabels } from "./gceNames.ts";

/** Of which images one is promoted, and which one. */
export interface GcePromotionInputs extends ImageSeries {
  /** The store's address. */
  readonly store: string;
  readonly access: GoogleAccess;
  readonly family: string;
  /** None while there is no image, as the only one failed and was allowed to. */
  readonly imageName?: string | undefined;
  /** Its id: one that was made anew has the same name. */
  readonly imageId?: string | undefined;
}

/** The promotion as it was made. */
export interface GcePromotionOutputs extends GcePromotionInputs {
  readonly problems: readonly string[];
}

/** Whoever holds the lock changes a few images, which takes Compute Engine seconds each. */
const lockPatienceSeconds = 1800;

/**
 * The resource's ways.
 *
 * @param patience with Compute Engine
 */
export function gcePromotions(
  patience: Patience,
): Implementation<GcePromotionInputs, GcePromotionOutputs> {
  const provide = async (
    inputs: GcePromotionInputs,
  ): Promise<GcePromotionOutputs> => {
    const { imageName } = inputs;
    if (imageName === undefined) return { ...inputs, problems: [] };
    await withLock(inputs, async () => {
      const api = await ComputeApi.open(inputs.access, patience);
      const images = await api.images();
      checkFamily(inputs, images);
      const { newest, others } = seriesOf(inputs, images);
      if (newest?.status !== "READY") {
        throw new PublicationError(
          `The family ${inputs.family} in ${inputs.place} stays what it was: the image ${imageName}, which it is to lead to, is ${newest?.status ?? "not there"}. Run \`pulumi up --refresh\`.`,
        );
      }
      // First the new one: whoever asks for the family meanwhile finds an image, the older or the newer one.
      if (!isActive(newest)) {
        await api.deprecateImage(imageName, { state: "ACTIVE" });
      }
      if (newest.family !== inputs.family) {
        await api.patchImage(imageName, { family: inputs.family });
      }
      for (const other of others) {
        if (hasGivenWay(other, newest)) continue;
        await api.deprecateImage(other.name, {
          state: "DEPRECATED",
          replacement: newest.selfLink,
        });
      }
    });
    return { ...inputs, problems: [] };
  };

  return {
    async create(inputs) {
      const outputs = await provide(inputs);
      return { id: `${inputs.place}/${inputs.family}`, outputs };
    },

    async read(_id, outputs) {
      const { imageName, access, family } = outputs;
      if (imageName === undefined) return outputs;
      const api = await ComputeApi.open(access, patience);
      const { newest, others } = seriesOf(outputs, await api.images());
      const problems = [
        ...(newest === undefined
          ? [`there is no image ${imageName}`]
          : [
              ...(newest.family === family
                ? []
                : [`the image ${imageName} is not in the family ${family}`]),
              ...(isActive(newest)
                ? []
                : [`the image ${imageName} is ${newest.deprecated?.state}`]),
              ...others
                .filter((other) => !hasGivenWay(other, newest))
                .map(({ name }) => `the image ${name} is not deprecated`),
            ]),
      ];
      return { ...outputs, problems };
    },

    diff(outputs, inputs) {
      // What there is stays while nothing better can be had.
      if (inputs.imageName === undefined) return { replaces: [], updates: [] };
      const changed = (names: readonly (keyof GcePromotionInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      return {
        replaces: changed(["stack", "place", "definition", "channel"]),
        updates: [
          ...changed(["imageName", "imageId", "family", "access", "store"]),
          ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ],
      };
    },

    update(_id, _outputs, inputs) {
      return provide(inputs);
    },

    // A family is the images that are in it, and goes with them.
    async delete() {},
  };
}

export const implementation = gcePromotions(usualPatience);

/** @throws {UserError} when somebody else has images in the family: it leads to the newest one, whoever made it. */
function checkFamily(
  inputs: GcePromotionInputs,
  images: readonly ComputeImage[],
): void {
  const { family, access } = inputs;
  const stranger = images.find((each) => isStranger(each, inputs, family));
  if (stranger === undefined) return;
  throw new UserError(
    `The family ${family} in the project ${access.project} is somebody else's: the image ${stranger.name} is in it, and is not of this stack and target. Set cloud-images:gce.familyPrefix, or publish to another project. No image was promoted.`,
  );
}

/** Our images, of which one is to be promoted. */
function seriesOf(
  inputs: GcePromotionInputs,
  images: readonly ComputeImage[],
): {
  readonly newest: ComputeImage | undefined;
  readonly others: readonly ComputeImage[];
} {
  const ours = images.filter((each) =>
    carriesLabels(each, seriesLabels(inputs)),
  );
  return {
    newest: ours.find(({ name }) => name === inputs.imageName),
    others: ours.filter(
      ({ name, status }) => name !== inputs.imageName && status === "READY",
    ),
  };
}

function isActive({ deprecated }: ComputeImage): boolean {
  return (deprecated?.state ?? "ACTIVE") === "ACTIVE";
}

/** Whether an image is deprecated in favour of another; what people did on top of that stays. */
function hasGivenWay(
  { deprecated }: ComputeImage,
  { selfLink }: ComputeImage,
): boolean {
  const { state, replacement } = deprecated ?? {};
  if (state === "OBSOLETE" || state === "DELETED") return true;
  return state === "DEPRECATED" && replacement === selfLink;
}

/** Runs where nobody else, in this process or another, promotes an image of the series. */
function withLock(
  inputs: GcePromotionInputs,
  use: () => Promise<void>,
): Promise<void> {
  const { project, endpoint } = inputs.access;
  const digest = createHash("sha256")
    .update(JSON.stringify([seriesLabels(inputs), project, endpoint]))
    .digest("hex");
  return openStore(inputs.store).withLock(
    `gce-promotion-${digest.slice(0, 32)}`,
    lockPatienceSeconds,
    use,
  );
}
