/** The image key: what decides the bytes of an image, in one number. Pure. */

import { createHash } from "node:crypto";
import type { ConfigSpace } from "./configSpace.ts";
import type { Definition, ImageKey } from "./definition.ts";

/** Everything that goes into a key. */
export interface KeyParts {
  readonly definition: Definition;
  /** The files that the definition's classes use. */
  readonly configSpace: ConfigSpace;
  /** The archive: suite to digest, and where it is reached, which ends up in the image's apt sources. */
  readonly archive: {
    readonly suites: Readonly<Record<string, string>>;
    readonly mirror: { readonly debian: string; readonly security: string };
  };
  /** Digest over the sources of the builder. */
  readonly builder: string;
}

/**
 * The key of an image. What only concerns checking or limits, such as the boot check's time limit, leaves it
 * as it is.
 */
export function imageKey(parts: KeyParts): ImageKey {
  const { suites, mirror } = parts.archive;
  const deciding = {
    builder: parts.builder,
    configSpace: parts.configSpace,
    archive: { suites, mirror },
    definition: decidingPart(parts.definition),
  };
  return createHash("sha256")
    .update(canonicalJson(deciding))
    .digest("hex") as ImageKey;
}

/** What of a definition decides the bytes of its image. */
function decidingPart({
  name,
  release,
  architecture,
  classes,
  layers,
  disk,
}: Definition) {
  return { name, release, architecture, classes, layers, disk };
}

/** What decides a key beside the definition and the archive. */
export type KeySources = Pick<KeyParts, "builder" | "configSpace">;

/**
 * Why two keys of a definition differ, a line for each thing that does; nothing when they are the same.
 *
 * @param before without sources where they are not known any more
 */
export function keyChanges(
  before: Pick<KeyParts, "definition" | "archive"> & Partial<KeySources>,
  now: KeyParts,
): readonly string[] {
  const fields = (parts: Pick<KeyParts, "definition" | "archive">) =>
    fieldsOf({
      ...decidingPart(parts.definition),
      mirror: parts.archive.mirror,
    });
  const suites = differences(before.archive.suites, now.archive.suites).map(
    ({ name }) => `The archive's ${name} has changed.`,
  );
  const changed = differences(fields(before), fields(now)).map(
    ({ name, from, to }) => `${name}: ${from ?? "none"}, now ${to ?? "none"}.`,
  );
  if (before.configSpace === undefined || before.builder === undefined) {
    return [
      ...changed,
      ...suites,
      "The config space and the builder of that time were not recorded.",
    ];
  }
  const digests = (files: ConfigSpace) =>
    Object.fromEntries(
      files.map(({ path, sha256, executable }) => [
        path,
        `${sha256} ${executable}`,
      ]),
    );
  const files = differences(
    digests(before.configSpace),
    digests(now.configSpace),
  ).map(({ name, from, to }) => {
    const what = from === undefined ? "is new" : "has changed";
    return `image-definitions/fai/${name} ${to === undefined ? "is not used any more" : what}.`;
  });
  const builder =
    before.builder === now.builder
      ? []
      : ["The builder (infra/image/build/) has changed."];
  return [...changed, ...files, ...suites, ...builder];
}

/** Properties of one or the other that differ, in the order of their names. */
function differences(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return names
    .sort()
    .map((name) => ({ name, from: before[name], to: now[name] }))
    .filter(({ from, to }) => from !== to);
}

/** Fields with their values as text: `disk.sizeGiB` to `3`. */
function fieldsOf(value: object, prefix = ""): Record<string, string> {
  return Object.assign(
    {},
    ...Object.entries(value).map(([name, part]: [string, unknown]) =>
      part !== null && typeof part === "object" && !Array.isArray(part)
        ? fieldsOf(part, `${prefix}${name}.`)
        : { [`${prefix}${name}`]: String(part).replaceAll(",", ", ") },
    ),
  );
}

/** How a key is shown: its first 12 hex digits. */
export function shortKey(key: ImageKey): string {
  return key.slice(0, 12);
}

/** JSON in which the order of properties does not matter. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(
          Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : part,
  );
}
