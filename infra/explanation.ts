/** Why an image would be built anew, or why not. */

import type { StackConfig } from "./config.ts";
import { type CurrentKey, currentKeys } from "./currentKeys.ts";
import type {
  Definition,
  ImageKey,
  ImageVersion,
} from "./definitions/definition.ts";
import { keyChanges, shortKey } from "./definitions/key.ts";
import type { Verdict } from "./image/freshness.ts";
import { listBuilds } from "./store/documents.ts";
import { openStore, storeAddress } from "./store/openStore.ts";
import type { BuildRecord } from "./store/records.ts";

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
  /** Why a build stays though the archive has moved on. */
  readonly kept?: "packages" | "hours";
}

/**
 * Compares a definition as it is now with the newest build in a stack's store.
 *
 * @throws {UserError} for a class without files, and an archive that cannot be read.
 * @throws {StoreError} when the store cannot be read.
 */
export async function explain(
  definition: Definition,
  config: ExplainedConfig,
): Promise<Explanation> {
  const [explanation] = await explainAll([definition], config);
  if (explanation === undefined) throw new Error("A definition has one key.");
  return explanation;
}

/**
 * The same for several definitions, in their order: the store's builds are read once.
 *
 * @throws as {@link explain}
 */
export async function explainAll(
  definitions: readonly Definition[],
  config: ExplainedConfig,
): Promise<readonly Explanation[]> {
  const current = await currentKeys(definitions, config);
  const builds = await listBuilds(openStore(storeAddress(config.store)));
  return current.map((each) => explanationOf(each, builds));
}

/** What of a stack's configuration decides keys. */
type ExplainedConfig = Pick<StackConfig, "archive" | "snapshots" | "store">;

function explanationOf(
  { definition: { name }, key, parts, verdict }: CurrentKey,
  builds: readonly BuildRecord[],
): Explanation {
  const newest =
    verdict === undefined || verdict.kind === "new"
      ? builds.find(({ definition }) => definition.name === name)
      : verdict.build;
  if (newest === undefined) return { name, key, changes: [] };
  const { version, builtAt, archive, sources } = newest;
  const before = { definition: newest.definition, archive, ...sources };
  const newestBuild = { key: newest.key, version, builtAt };
  const changes = [...keyChanges(before, parts), ...packageLines(verdict)];
  const kept = verdict?.kind === "kept" ? { kept: verdict.because } : {};
  return { name, key, newestBuild, changes, ...kept };
}

/** What the archive's moving on means for the image. */
function packageLines(verdict: Verdict | undefined): readonly string[] {
  if (verdict?.kind !== "moved on") return [];
  return (
    verdict.changes ?? [
      "Whether that changes a package of the image, only a build can tell.",
    ]
  );
}

/** An explanation for people. */
export function explanationText({
  name,
  key,
  newestBuild,
  changes,
  kept,
}: Explanation): string {
  const now = `${name} has the key ${shortKey(key)}.`;
  if (newestBuild === undefined) {
    return `${now} No build of it is in the store: it would be built.`;
  }
  const { version, builtAt } = newestBuild;
  if (kept !== undefined) {
    const why =
      kept === "packages"
        ? "but every package of the image is the same"
        : `but version ${version} was built at ${builtAt}, too recently for another one (freshness.everyHours)`;
    return `${now} Version ${version} was built from it. The archive has moved on since, ${why}: nothing would be built.`;
  }
  if (newestBuild.key === key) {
    return `${now} Version ${version} was built from it: nothing would be built.`;
  }
  return [
    `${now} The newest build, version ${version}, was made from ${shortKey(newestBuild.key)}. What is different:`,
    ...changes.map((change) => `  ${change}`),
  ].join("\n");
}
