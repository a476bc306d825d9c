/** What stands behind {@link ImageFormat}: converts the raw image, once for each key and format. */

import { join } from "node:path";
import type { ImageKey } from "../definitions/definition.ts";
import type { Implementation } from "../dynamic/provider.ts";
import { StoreError } from "../errors.ts";
import { readBuild, readFormat, writeFormat } from "../store/documents.ts";
import { openStore, storeDifference } from "../store/openStore.ts";
import type { Format } from "../store/records.ts";
import type { Sha256 } from "../store/store.ts";
import { withCapacity } from "./capacity.ts";
import { conversionMemoryMiB, convertImage } from "./convert.ts";

/** Which image, and which form. */
export interface ImageFormatInputs {
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  /** The image's name, for messages. */
  readonly label: string;
  /** The raw image to convert; none while the image is one that failed and was allowed to. */
  readonly rawSha256?: string | undefined;
  readonly format: Format;
}

/** The file in the store, if there is an image. */
export interface ImageFormatOutputs extends ImageFormatInputs {
  readonly sha256?: string;
  readonly problems: readonly string[];
}

export const implementation: Implementation<
  ImageFormatInputs,
  ImageFormatOutputs
> = {
  async create(inputs) {
    const outputs = await provide(inputs);
    return { id: `${inputs.key}/${inputs.format}`, outputs };
  },

  async read(_id, outputs) {
    const store = openStore(outputs.store);
    const record = await readFormat(store, outputs.key, outputs.format);
    if (record === undefined) return undefined;
    const state = await store.examine(record.artifact.sha256);
    const problems =
      state === "sound"
        ? []
        : [`the ${outputs.format} file in the store is ${state}`];
    return { ...outputs, problems };
  },

  diff(outputs, inputs) {
    // What there is stays while nothing better can be had.
    if (inputs.rawSha256 === undefined) return { replaces: [], updates: [] };
    const store = storeDifference(outputs.store, inputs.store);
    const changed = (["key", "format"] as const).filter(
      (name) => outputs[name] !== inputs[name],
    );
    const replaces = [...changed, ...store.replaces];
    const updates = [
      ...store.updates,
      ...(outputs.rawSha256 === inputs.rawSha256 ? [] : ["rawSha256"]),
      ...(outputs.problems.length === 0 ? [] : ["problems"]),
    ];
    return { replaces, updates };
  },

  update(_id, _outputs, inputs) {
    return provide(inputs);
  },

  // The file belongs to the build: FaiImage removes both when no stack declares the key any more.
  async delete() {},
};

/** Finds the file in the store, or makes it. */
async function provide(inputs: ImageFormatInputs): Promise<ImageFormatOutputs> {
  const { key, format, label } = inputs;
  if (inputs.rawSha256 === undefined) return { ...inputs, problems: [] };
  const rawSha256 = inputs.rawSha256 as Sha256;
  const store = openStore(inputs.store);
  const known = await readFormat(store, key, format);
  const isSound =
    known?.rawSha256 === rawSha256 &&
    (await store.examine(known.artifact.sha256)) === "sound";
  if (isSound) return finished(known.artifact.sha256);

  const build = await readBuild(store, key);
  if (build === undefined) {
    throw new StoreError(
      `${store.location} has no record of the build ${key} any more. Run: scripts/pulumi up --refresh`,
    );
  }
  const memoryMiB = conversionMemoryMiB(format);
  return withCapacity(`The ${format} of ${label}`, memoryMiB, () =>
    store.withIncoming(async (directory) => {
      console.log(`${label}: making ${format}`);
      // A VMDK has its own name in it: the same for all of them.
      const path = join(directory, `disk.${format}`);
      const raw = {
        path: await store.file(rawSha256),
        sha256: rawSha256,
        architecture: build.definition.architecture,
        epochSeconds: build.archive.epochSeconds,
      };
      await convertImage(raw, path, format);
      const artifact = await store.adopt(path);
      await writeFormat(store, key, { format, rawSha256, artifact });
      return finished(artifact.sha256);
    }),
  );

  function finished(sha256: string): ImageFormatOutputs {
    return { ...inputs, sha256, problems: [] };
  }
}
