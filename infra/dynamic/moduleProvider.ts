/** What the process that runs dynamic providers loads: the engine's calls, handed to a module of the repository. */

import { setTimeout as sleep } from "node:timers/promises";
import type { dynamic } from "@pulumi/pulumi";
import { endWithEngine } from "./engineWatch.ts";
import type { Implementation, Made } from "./provider.ts";

// biome-ignore lint/suspicious/noExplicitAny: the engine hands over whatever the module's own types say
type AnyImplementation = Implementation<any, any>;

/** After a failure it is looked for no longer than this what is there: a cloud that does not answer has been waited for. */
const lookSeconds = 30;

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
  /** Whether something is there, or nobody can tell. */
  const mayRemain = ({ id, outputs }: Made<unknown>): Promise<boolean> =>
    Promise.race([
      implementation.read(id, outputs).then(
        (found) => found !== undefined,
        () => true,
      ),
      sleep(lookSeconds * 1000, true, { ref: false }),
    ]);
  return {
    async create(inputs) {
      const progress: { begun?: Made<object> } = {};
      try {
        const { id, outputs } = await noted(inputs, () =>
          implementation.create(inputs, (begun) => {
            progress.begun = begun;
          }),
        );
        return { id, outs: outputs };
      } catch (error) {
        const { begun } = progress;
        if (begun === undefined || !(await mayRemain(begun))) throw error;
        throw unfinished(error, {
          ...begun,
          // With the text of its provider, which Pulumi adds to everything but this.
          outputs: { ...inputs, ...begun.outputs },
        });
      }
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

/** An error that has the engine keep what was begun; it is recognised by these properties. */
function unfinished(error: unknown, { id, outputs }: Made<object>): Error {
  const message = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(message, { cause: error }), {
    id,
    properties: outputs,
    reasons: [message],
  });
}
