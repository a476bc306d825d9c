/** Whether an archive that has moved on calls for another image, or the one at hand still is what would be built. */

import { isDeepStrictEqual } from "node:util";
import type { Freshness } from "../definitions/definition.ts";
import { imageKey, type KeyParts } from "../definitions/key.ts";
import { readBootCheck } from "../store/documents.ts";
import type { BuildRecord, Package } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { ArchiveState } from "./archive.ts";
import { packageSet } from "./packageSet.ts";

/** Everything that goes into a key, with the archive as a whole. */
export interface PresentParts extends KeyParts {
  readonly archive: ArchiveState;
}

/** What was found out about an image whose archive has moved on since its newest build. */
export type Verdict =
  /** The build at hand stays: it has the same packages, or was made too recently. */
  | {
      readonly kind: "kept";
      readonly build: BuildRecord;
      readonly because: "packages" | "hours";
    }
  /** Another one is called for: what is different, or `undefined` where only a build can tell. */
  | {
      readonly kind: "moved on";
      readonly build: BuildRecord;
      readonly changes: readonly string[] | undefined;
    }
  /** There is no build to compare with. */
  | { readonly kind: "new" };

/**
 * Decides whether an image that is not built from the present archive has to be.
 *
 * @param parts what the image is made from now
 * @param builds of its definition, the newest first
 * @param configSpace absolute
 * @param directory keeps what apt said between calls
 */
export async function judgeFreshness(
  parts: PresentParts,
  builds: readonly BuildRecord[],
  { store, configSpace, directory }: Places,
): Promise<Verdict> {
  const build = await newestGood(store, parts, builds);
  if (build === undefined) return { kind: "new" };
  const { definition, archive } = parts;
  if (isTooRecent(definition.freshness, build, new Date())) {
    return { kind: "kept", build, because: "hours" };
  }
  const present = await packageSet({
    definition,
    archive,
    configSpace,
    directory,
  });
  const changes = present && packageChanges(build.packages, present);
  return changes?.length === 0
    ? { kind: "kept", build, because: "packages" }
    : { kind: "moved on", build, changes };
}

/** Where things are. */
export interface Places {
  readonly store: Store;
  readonly configSpace: string;
  readonly directory: string;
}

/** The newest build that passed its boot checks and differs in nothing but the archive's state. */
async function newestGood(
  store: Store,
  parts: PresentParts,
  builds: readonly BuildRecord[],
): Promise<BuildRecord | undefined> {
  for (const build of builds) {
    if (!isOtherwiseEqual(parts, build)) continue;
    const { key, raw } = build;
    const checks = await Promise.all(
      parts.definition.bootCheck.firmware.map((firmware) =>
        readBootCheck(store, key, firmware),
      ),
    );
    if (checks.every((check) => check?.rawSha256 === raw.sha256)) return build;
  }
  return undefined;
}

/** Whether a build has the key that the present parts would give with its archive's state. */
export function isOtherwiseEqual(
  parts: PresentParts,
  { key, archive }: Pick<BuildRecord, "key" | "archive">,
): boolean {
  return (
    isDeepStrictEqual(archive.mirror, parts.archive.mirror) &&
    imageKey({ ...parts, archive }) === key
  );
}

const hourMilliseconds = 3_600_000;

/** Whether a build is too recent to be followed by another one. */
export function isTooRecent(
  freshness: Freshness,
  { builtAt }: Pick<BuildRecord, "builtAt">,
  now: Date,
): boolean {
  if (typeof freshness !== "object" || !("everyHours" in freshness)) {
    return false;
  }
  const ageHours = (now.getTime() - Date.parse(builtAt)) / hourMilliseconds;
  return ageHours < freshness.everyHours;
}

/** A sentence for each package that differs, by name. */
export function packageChanges(
  before: readonly Package[],
  now: readonly Package[],
): readonly string[] {
  const versions = (packages: readonly Package[]) =>
    new Map(
      packages.map(({ name, version, architecture }) => [
        `${name} (${architecture})`,
        version,
      ]),
    );
  const [old, present] = [versions(before), versions(now)];
  return [...new Set([...old.keys(), ...present.keys()])]
    .sort()
    .filter((name) => old.get(name) !== present.get(name))
    .map(
      (name) =>
        `The package ${name}: ${old.get(name) ?? "none"}, now ${present.get(name) ?? "none"}.`,
    );
}
