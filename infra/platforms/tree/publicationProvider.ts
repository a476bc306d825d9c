/** What stands behind publications in trees: the engine's calls, in terms of publication.ts. */

import { isDeepStrictEqual } from "node:util";
import type { Difference, Implementation } from "../../dynamic/provider.ts";
import { readBootCheck } from "../../store/documents.ts";
import { openStore, storeDifference } from "../../store/openStore.ts";
import type {
  Published,
  PublicationInputs as PublishedImage,
} from "./publication.ts";

/** What a platform does with an image, and how it tells its trees apart. */
export interface TreePlatform {
  publish(image: PublishedImage): Promise<Published>;
  examine(image: PublishedImage): Promise<string[]>;
  withdraw(image: PublishedImage): Promise<void>;
  /** What another root means: another tree, or the same one in another way. */
  rootDifference(before: string, after: string): Difference;
}

/** Which image to publish, and where. */
export interface TreePublicationInputs extends Omit<PublishedImage, "version"> {
  /** None while the image is one that failed and was allowed to. */
  readonly version?: PublishedImage["version"] | undefined;
  /** The raw image behind all files: another one calls for publishing again. */
  readonly rawSha256?: string | undefined;
  /** Why there is nothing to publish, where the image was allowed to fail. */
  readonly failures: readonly string[];
}

/** The published files; none where there is nothing to publish. */
export interface TreePublicationOutputs
  extends TreePublicationInputs,
    Published {
  /** How the boot check ran the image. */
  readonly acceleration?: "kvm" | "tcg";
  readonly problems: readonly string[];
}

/** The engine's calls for publications of a platform. */
export function implementationFor(
  platform: TreePlatform,
): Implementation<TreePublicationInputs, TreePublicationOutputs> {
  return {
    async create(inputs) {
      const outputs = await provide(platform, inputs);
      const name = inputs.version ?? "unpublished";
      return { id: `${inputs.definition}/${name}`, outputs };
    },

    async read(_id, outputs) {
      const image = publishable(outputs);
      if (image === undefined) return undefined;
      return { ...outputs, problems: await platform.examine(image) };
    },

    diff(outputs, inputs) {
      // What is published stays while nothing better can be had.
      if (publishable(inputs) === undefined) {
        return { replaces: [], updates: [] };
      }
      const changed = (names: readonly (keyof TreePublicationInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      const store = storeDifference(outputs.store, inputs.store);
      const root = platform.rootDifference(outputs.root, inputs.root);
      return {
        replaces: [
          ...changed(["stack", "key", "definition", "channel"]),
          ...(outputs.version === undefined ? [] : changed(["version"])),
          ...root.replaces,
          ...store.replaces,
        ],
        updates: [
          ...root.updates,
          ...store.updates,
          ...changed(["formats", "firmware", "rawSha256"]),
          ...(publishable(outputs) === undefined ? ["failures"] : []),
          ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ],
      };
    },

    update(_id, _outputs, inputs) {
      return provide(platform, inputs);
    },

    async delete(_id, outputs) {
      const image = publishable(outputs);
      if (image !== undefined) await platform.withdraw(image);
    },
  };
}

async function provide(
  platform: TreePlatform,
  inputs: TreePublicationInputs,
): Promise<TreePublicationOutputs> {
  const image = publishable(inputs);
  if (image === undefined) {
    return { ...inputs, files: [], sha512: {}, sizeBytes: 0, problems: [] };
  }
  const published = await platform.publish(image);
  const { store, key, firmware } = inputs;
  const check = await readBootCheck(
    openStore(store),
    key,
    firmware[0] ?? "bios",
  );
  const acceleration = check?.acceleration ?? "tcg";
  return { ...inputs, ...published, acceleration, problems: [] };
}

/** What to publish, or `undefined` where an image that was allowed to fail left nothing. */
function publishable({
  stack,
  root,
  store,
  key,
  version,
  release,
  definition,
  channel,
  formats,
  firmware,
  failures,
}: TreePublicationInputs): PublishedImage | undefined {
  // States of old have no failures.
  if (version === undefined || failures?.length) return undefined;
  return {
    ...{ stack, root, store, key, version, release, definition },
    // Outputs of old have no channel: their files are where those of `release` are now.
    channel: channel ?? "release",
    ...{ formats, firmware },
  };
}
