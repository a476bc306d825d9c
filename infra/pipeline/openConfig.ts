/** A stack's configuration without what needs a passphrase or credentials. */

import { configPrefix, parseConfig, type StackConfig } from "../config.ts";
import { UserError } from "../errors.ts";
import { isEncrypted, type StackFile } from "../stackFile.ts";

/** Where in a value something is encrypted: paths of keys and indices. */
export function securePaths(
  value: unknown,
  path: readonly string[] = [],
): readonly (readonly string[])[] {
  if (value === null || typeof value !== "object") return [];
  if (isEncrypted(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    securePaths(inner, [...path, key]),
  );
}

/** What decides which images there are, and needs no credentials. */
const openSections = [
  "definitions",
  "type",
  "retention",
  "archive",
  "snapshots",
];

/** The sections that a preview against an empty state has, and those that it goes without. */
export function openConfig({ stack, config }: StackFile): {
  readonly kept: Readonly<Record<string, unknown>>;
  readonly leftOut: readonly string[];
} {
  if (config.definitions === undefined) {
    throw new UserError(
      `The stack ${stack} has no cloud-images:definitions, and its state cannot be reached: there is nothing to preview. Preview another stack, or give the job PULUMI_BACKEND_URL and the passphrase.`,
    );
  }
  const isOpen = (name: string) =>
    openSections.includes(name) && securePaths(config[name]).length === 0;
  const others = Object.keys(config).filter(
    (name) =>
      !isOpen(name) && !["store", "directory", "uploads"].includes(name),
  );
  return {
    kept: Object.fromEntries(
      Object.entries(config).filter(([name]) => isOpen(name)),
    ),
    leftOut: others.sort(),
  };
}

/**
 * What of a stack's configuration decides keys, checked; secrets have no part in it.
 *
 * @throws {UserError} naming the file and each field that is wrong.
 */
export function keyConfig({ stack, config }: StackFile): StackConfig {
  const deciding = Object.entries(config).filter(([name]) =>
    [...openSections, "store"].includes(name),
  );
  return parseConfig(
    stack,
    Object.fromEntries(
      [...deciding, ["directory", { path: "public" }] as const].map(
        ([name, value]) => [`${configPrefix}${name}`, JSON.stringify(value)],
      ),
    ),
  );
}
