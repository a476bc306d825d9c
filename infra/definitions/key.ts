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
  const { name, release, architecture, classes, disk } = parts.definition;
  const { suites, mirror } = parts.archive;
  const deciding = {
    builder: parts.builder,
    configSpace: parts.configSpace,
    archive: { suites, mirror },
    definition: { name, release, architecture, classes, disk },
  };
  return createHash("sha256")
    .update(canonicalJson(deciding))
    .digest("hex") as ImageKey;
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
