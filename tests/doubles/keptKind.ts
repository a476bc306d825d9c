/** Types of resources that a stand-in keeps in files, for what no server of tests has. */

import type { ResourceFiles } from "./resourceFiles.ts";
import type { ResourceKind } from "./resourceKind.ts";
import type { Properties } from "./values.ts";

/** What is peculiar to a type. */
export interface KeptDetails<Cloud>
  extends Pick<
    ResourceKind<Cloud>,
    "shape" | "nameProperty" | "defaults" | "same"
  > {
  readonly updatable?: readonly string[];
  readonly computed?: readonly string[];
  readonly outputs?: readonly string[];
  readonly files: (cloud: Cloud) => ResourceFiles;
  readonly idOf: (cloud: Cloud, inputs: Properties) => string;
  /** @param before what was there; `undefined` for a new thing */
  readonly outputsOf?: (
    id: string,
    inputs: Properties,
    before: Properties | undefined,
  ) => Properties;
  /** What goes with it; throws what the cloud says of its removal. */
  readonly remove?: (id: string, files: ResourceFiles) => Promise<void>;
  /** Throws what the cloud says of inputs that have the right shape. */
  readonly refuse?: (
    inputs: Properties,
    files: ResourceFiles,
    cloud: Cloud,
  ) => Promise<void> | void;
}

export function keptKind<Cloud>({
  files,
  idOf,
  outputsOf,
  refuse,
  remove,
  updatable = [],
  computed = [],
  outputs = [],
  ...kind
}: KeptDetails<Cloud>): ResourceKind<Cloud> {
  async function put(
    cloud: Cloud,
    id: string,
    inputs: Properties,
    before: Properties | undefined,
  ): Promise<Properties> {
    await files(cloud).note(`PUT ${id}`);
    await refuse?.(inputs, files(cloud), cloud);
    const resource = { ...inputs, ...outputsOf?.(id, inputs, before) };
    await files(cloud).put(id, resource);
    return resource;
  }

  return {
    ...kind,
    updatable: new Set(updatable),
    computed: new Set(computed),
    outputs,

    async create(cloud, inputs) {
      const id = idOf(cloud, inputs);
      if ((await files(cloud).get(id)) !== undefined) {
        throw new Error(`${id} already exists`);
      }
      return { id, outputs: await put(cloud, id, inputs, undefined) };
    },

    async read(cloud, id) {
      const found = await files(cloud).get(id);
      if (found === undefined) return undefined;
      const { id: _, ...resource } = found;
      return resource;
    },

    async update(cloud, id, _olds, news) {
      return put(cloud, id, news, await files(cloud).get(id));
    },

    async delete(cloud, id) {
      await files(cloud).note(`DELETE ${id}`);
      await remove?.(id, files(cloud));
      await files(cloud).remove(id);
    },
  };
}

/** Throws unless something is so. @param message of the cloud's own kind */
export function refuseUnless(isRight: boolean, message: string): void {
  if (!isRight) throw new Error(message);
}
