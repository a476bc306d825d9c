/** What stands behind {@link GalleryRecord}: the record of a version whose disk was read back before it was made. */

import { isDeepStrictEqual } from "node:util";
import type {
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import { StoreError } from "../../errors.ts";
import {
  type PublicationId,
  readBuild,
  readPublication,
  removePublication,
  writePublication,
} from "../../store/documents.ts";
import { openStore, storeDifference } from "../../store/openStore.ts";
import type { Verification } from "../../store/records.ts";
import { claimOfAnother } from "../claim.ts";

/** Which version of which image, where. */
export interface GalleryRecordInputs {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  readonly definition: DefinitionName;
  readonly version: ImageVersion;
  readonly channel: ImageType;
  /** The place's name in the stack's configuration. */
  readonly place: string;
  /** The version's ID in the Resource Manager. */
  readonly versionId: string;
  /** The image definition and version, as users name them. */
  readonly name: string;
  readonly gallery: string;
  /** The address of the blob that it was made from. */
  readonly blob: string;
  readonly verification: Verification;
}

/** The record, while it is there. */
export interface GalleryRecordOutputs extends GalleryRecordInputs {
  readonly problems: readonly string[];
}

export const implementation: Implementation<
  GalleryRecordInputs,
  GalleryRecordOutputs
> = {
  async create(inputs) {
    const outputs = await provide(inputs);
    const { place, definition, version } = inputs;
    return { id: `${place}/${definition}/${version}`, outputs };
  },

  async read(_id, outputs) {
    const store = openStore(outputs.store);
    const record = await readPublication(store, idOf(outputs));
    if (record === undefined) return undefined;
    const problem = claimOfAnother(outputs, record);
    return { ...outputs, problems: problem === undefined ? [] : [problem] };
  },

  diff(outputs, inputs) {
    const changed = (names: readonly (keyof GalleryRecordInputs)[]) =>
      names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
    const store = storeDifference(outputs.store, inputs.store);
    return {
      replaces: [
        ...store.replaces,
        ...changed(["stack", "key", "definition"]),
        ...changed(["version", "channel", "place"]),
      ],
      updates: [
        ...store.updates,
        ...changed(["versionId", "name", "gallery", "blob", "verification"]),
        ...(outputs.problems.length === 0 ? [] : ["problems"]),
      ],
    };
  },

  update(_id, _outputs, inputs) {
    return provide(inputs);
  },

  async delete(_id, outputs) {
    const store = openStore(outputs.store);
    const record = await readPublication(store, idOf(outputs));
    if (record === undefined) return;
    if (claimOfAnother(outputs, record) !== undefined) return;
    await removePublication(store, idOf(outputs));
  },
};

async function provide(
  inputs: GalleryRecordInputs,
): Promise<GalleryRecordOutputs> {
  const store = openStore(inputs.store);
  const existing = await readPublication(store, idOf(inputs));
  const claim = existing && claimOfAnother(inputs, existing);
  if (claim !== undefined) throw new StoreError(claim);
  const { key, definition, version, verification } = inputs;
  const build = await readBuild(store, key);
  if (build === undefined) {
    throw new StoreError(
      `${definition} ${version} cannot be recorded as published: the store ${store.location} has no build of key ${key}. Refresh the stack and run \`pulumi up\`.`,
    );
  }
  const { versionId, name, gallery, blob } = inputs;
  await writePublication(store, {
    ...idOf(inputs),
    stack: inputs.stack,
    key,
    definition: build.definition,
    publishedAt: existing?.publishedAt ?? new Date().toISOString(),
    inputs: {},
    files: [],
    names: { imageId: versionId, name, gallery, blob },
    verification,
  });
  return { ...inputs, problems: [] };
}

function idOf({
  place,
  definition,
  version,
  channel,
}: GalleryRecordInputs): PublicationId & { readonly place: string } {
  return { platform: "azure", place, definition, version, channel };
}
