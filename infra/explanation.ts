/** Why an image would be built anew, or why not. */

import type { StackConfig } from "./config.ts";
import { currentKeys } from "./currentKeys.ts";
import type {
  Definition,
  ImageKey,
  ImageVersion,
} from "./definitions/definition.ts";
import { keyChanges, shortKey } from "./definitions/key.ts";
import { listBuilds } from "./store/documents.ts";
import { openStore } from "./store/openStore.ts";

/** The key that an image has now, beside the newest build that there is of it. */
export interface Explanation {
  readonly name: Definition["name"];
  readonly key: ImageKey;
  readonly newestBuild?: {
    readonly key: ImageKey;
    readonly version: ImageVersion;
    readonly builtAt: string;
  };
  /** A sentence for each input that differs from that build's. */
  readonly changes: readonly string[];
}

/**
 * Compares a definition as it is now with the newest build in a stack's store.
 *
 * @throws {UserError} for a class without files, and an archive that cannot be read.
 * @throws {StoreError} when the store cannot be read.
 */
export async function explain(
  definition: Definition,
  config: StackConfig,
): Promise<Explanation> {
  const [current] = await currentKeys([definition], config.archive);
  if (current === undefined) throw new Error("A definition has one key.");
  const { key, parts } = current;
  const { name } = definition;
  const store = openStore(config.store.directory);
  const [newest] = await listBuilds(store, name);
  if (newest === undefined) return { name, key, changes: [] };
  const { version, builtAt, archive, sources } = newest;
  return {
    name,
    key,
    newestBuild: { key: newest.key, version, builtAt },
    changes: keyChanges(
      { definition: newest.definition, archive, ...sources },
      parts,
    ),
  };
}

/** An explanation for people. */
export function explanationText({
  name,
  key,
  newestBuild,
  changes,
}: Explanation): string {
  const now = `${name} has the key ${shortKey(key)}.`;
  if (newestBuild === undefined) {
    return `${now} No build of it is in the store: it would be built.`;
  }
  const { version } = newestBuild;
  if (newestBuild.key === key) {
    return `${now} Version ${version} was built from it: nothing would be built.`;
  }
  return [
    `${now} The newest build, version ${version}, was made from ${shortKey(newestBuild.key)}. What is different:`,
    ...changes.map((change) => `  ${change}`),
  ].join("\n");
}
