/** What the process that runs dynamic providers loads: the engine's calls, handed to a module of the repository. */

import type { dynamic } from "@pulumi/pulumi";
import { endWithEngine } from "./engineWatch.ts";
import type { Implementation } from "./provider.ts";

// biome-ignore lint/suspicious/noExplicitAny: the engine hands over whatever the module's own types say
type AnyImplementation = Implementation<any, any>;

/**
 * The provider that stands for the `implementation` which a module exports.
 *
 * @param module path of the module below `infra/`
 */
export async function providerOf(
  module: string,
): Promise<dynamic.ResourceProvider> {
  endWithEngine();
  const { implementation } = (await import(`../${module}`)) as {
    implementation: AnyImplementation;
  };
  const noted = async <T>(inputs: unknown, act: () => Promise<T>) => {
    try {
      return await act();
    } catch (error) {
      const { notePlaceFailure } = await import(
        "../platforms/placeFailures.ts"
      );
      await notePlaceFailure(module, inputs, error);
      throw error;
    }
  };
  return {
    async create(inputs) {
      const { id, outputs } = await noted(inputs, () =>
        implementation.create(inputs),
      );
      return { id, outs: outputs };
    },

    async read(id, outputs) {
      const found = await implementation.read(id, outputs);
      return found === undefined ? {} : { id, props: found };
    },

    async diff(_id, outputs, inputs) {
      const { replaces, updates } = implementation.diff(outputs, inputs);
      const changes = replaces.length + updates.length > 0;
      return { changes, replaces: [...replaces], deleteBeforeReplace: true };
    },

    async update(id, outputs, inputs) {
      const changed = await noted(inputs, () =>
        implementation.update(id, outputs, inputs),
      );
      return { outs: changed };
    },

    delete: (id, outputs) => implementation.delete(id, outputs),
  };
}
