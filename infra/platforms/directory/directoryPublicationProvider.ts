/** What stands behind {@link DirectoryPublication}: the engine's calls, in terms of publication.ts. */

import { isDeepStrictEqual } from "node:util";
import type { Implementation } from "../../dynamic/provider.ts";
import {
  examine,
  type Published,
  type DirectoryPublicationInputs as PublishedImage,
  publish,
  withdraw,
} from "./publication.ts";

/** Which image to publish, and where. */
export interface DirectoryPublicationInputs extends PublishedImage {
  /** Digests of the formats and moments of the boot checks: other ones call for publishing again. */
  readonly sources: readonly string[];
}

/** The published files. */
export interface DirectoryPublicationOutputs
  extends DirectoryPublicationInputs,
    Published {
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
    return { ...outputs, problems: await examine(outputs) };
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
      ]),
      updates: [
        ...changed(["formats", "firmware", "sources"]),
        ...(outputs.problems.length === 0 ? [] : ["problems"]),
      ],
    };
  },

  update(_id, _outputs, inputs) {
    return provide(inputs);
  },

  async delete(_id, outputs) {
    await withdraw(outputs);
  },
};

async function provide(
  inputs: DirectoryPublicationInputs,
): Promise<DirectoryPublicationOutputs> {
  const { sources: _, ...image } = inputs;
  return { ...inputs, ...(await publish(image)), problems: [] };
}
