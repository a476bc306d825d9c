/** What stands behind {@link DirectoryPublication}: the engine's calls, in terms of publication.ts. */

import { isDeepStrictEqual } from "node:util";
import type { Implementation } from "../../dynamic/provider.ts";
import { readBootCheck } from "../../store/documents.ts";
import { openStore, storeDifference } from "../../store/openStore.ts";
import {
  examine,
  type Published,
  type DirectoryPublicationInputs as PublishedImage,
  publish,
  withdraw,
} from "./publication.ts";

/** Which image to publish, and where. */
export interface DirectoryPublicationInputs
  extends Omit<PublishedImage, "version"> {
  /** None while the image is one that failed and was allowed to. */
  readonly version?: PublishedImage["version"] | undefined;
  /** The raw image behind all files: another one calls for publishing again. */
  readonly rawSha256?: string | undefined;
  /** Why there is nothing to publish, where the image was allowed to fail. */
  readonly failures: readonly string[];
}

/** The published files; none where there is nothing to publish. */
export interface DirectoryPublicationOutputs
  extends DirectoryPublicationInputs,
    Published {
  /** How the boot check ran the image. */
  readonly acceleration?: "kvm" | "tcg";
  readonly problems: readonly string[];
}

export const implementation: Implementation<
  DirectoryPublicationInputs,
  DirectoryPublicationOutputs
> = {
  async create(inputs) {
    const outputs = await provide(inputs);
    const name = inputs.version ?? "unpublished";
    return { id: `${inputs.definition}/${name}`, outputs };
  },

  async read(_id, outputs) {
    const image = publishable(outputs);
    if (image === undefined) return undefined;
    return { ...outputs, problems: await examine(image) };
  },

  diff(outputs, inputs) {
    // What is published stays while nothing better can be had.
    if (publishable(inputs) === undefined) return { replaces: [], updates: [] };
    const changed = (names: readonly (keyof DirectoryPublicationInputs)[]) =>
      names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
    const store = storeDifference(outputs.store, inputs.store);
    return {
      replaces: [
        ...changed(["stack", "root", "key", "definition", "channel"]),
        ...(outputs.version === undefined ? [] : changed(["version"])),
        ...store.replaces,
      ],
      updates: [
        ...store.updates,
        ...changed(["formats", "firmware", "rawSha256"]),
        ...(publishable(outputs) === undefined ? ["failures"] : []),
        ...(outputs.problems.length === 0 ? [] : ["problems"]),
      ],
    };
  },

  update(_id, _outputs, inputs) {
    return provide(inputs);
  },

  async delete(_id, outputs) {
    const image = publishable(outputs);
    if (image !== undefined) await withdraw(image);
  },
};

async function provide(
  inputs: DirectoryPublicationInputs,
): Promise<DirectoryPublicationOutputs> {
  const image = publishable(inputs);
  if (image === undefined) {
    return { ...inputs, files: [], sha512: {}, sizeBytes: 0, problems: [] };
  }
  const published = await publish(image);
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
}: DirectoryPublicationInputs): PublishedImage | undefined {
  // States of old have no failures.
  if (version === undefined || failures?.length) return undefined;
  return {
    ...{ stack, root, store, key, version, release, definition },
    // Outputs of old have no channel: their files are where those of `release` are now.
    channel: channel ?? "release",
    ...{ formats, firmware },
  };
}
