/** What stands behind {@link DirectoryPublication}: the engine's calls, in terms of publication.ts. */

import { isDeepStrictEqual } from "node:util";
import type { Implementation } from "../../dynamic/provider.ts";
import { readBootCheck } from "../../store/documents.ts";
import { openStore } from "../../store/openStore.ts";
import {
  examine,
  type Published,
  type DirectoryPublicationInputs as PublishedImage,
  publish,
  withdraw,
} from "./publication.ts";

/** Which image to publish, and where. */
export interface DirectoryPublicationInputs extends PublishedImage {
  /** The raw image behind all files: another one calls for publishing again. */
  readonly rawSha256: string;
}

/** The published files. */
export interface DirectoryPublicationOutputs
  extends DirectoryPublicationInputs,
    Published {
  /** How the boot check ran the image. */
  readonly acceleration: "kvm" | "tcg";
  readonly problems: readonly string[];
}

export const implementation: Implementation<
  DirectoryPublicationInputs,
  DirectoryPublicationOutputs
> = {
  async create(inputs) {
    const outputs = await provide(inputs);
    return { id: `${inputs.definition}/${inputs.version}`, outputs };
  },

  async read(_id, outputs) {
    return { ...outputs, problems: await examine(withChannel(outputs)) };
  },

  diff(outputs, inputs) {
    const changed = (names: readonly (keyof DirectoryPublicationInputs)[]) =>
      names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
    return {
      replaces: changed([
        "stack",
        "root",
        "store",
        "key",
        "version",
        "definition",
        "channel",
      ]),
      updates: [
        ...changed(["formats", "firmware", "rawSha256"]),
        ...(outputs.problems.length === 0 ? [] : ["problems"]),
      ],
    };
  },

  update(_id, _outputs, inputs) {
    return provide(inputs);
  },

  async delete(_id, outputs) {
    await withdraw(withChannel(outputs));
  },
};

/** Outputs of old have no channel: their files are where those of `release` are now. */
function withChannel(
  outputs: DirectoryPublicationOutputs,
): DirectoryPublicationOutputs {
  return { ...outputs, channel: outputs.channel ?? "release" };
}

async function provide(
  inputs: DirectoryPublicationInputs,
): Promise<DirectoryPublicationOutputs> {
  const { rawSha256: _, ...image } = inputs;
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
