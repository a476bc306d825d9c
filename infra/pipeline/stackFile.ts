/** A stack's file as it is in the repository: what may be read of it without the stack's passphrase. */

import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { parseConfig, type StackConfig } from "../config.ts";
import { UserError } from "../errors.ts";
import { projectPath } from "../projectPaths.ts";

const prefix = "cloud-images:";

const fileSchema = z.looseObject({
  encryptionsalt: z.string().optional(),
  secretsprovider: z.string().optional(),
  config: z.record(z.string(), z.unknown()).nullish(),
});

/** `Pulumi.<stack>.yaml`. */
export interface StackFile {
  readonly stack: string;
  /** Whether its secrets are opened by a passphrase, and by no service. */
  readonly hasPassphrase: boolean;
  /** This project's values, without the prefix of their keys; secrets as `{ secure: … }`. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Reads a stack's file.
 *
 * @throws {UserError} for a name that is none, and a file that is missing or broken.
 */
export async function readStackFile(stack: string): Promise<StackFile> {
  if (!/^[\w.-]{1,100}$/.test(stack)) {
    throw new UserError(
      `${JSON.stringify(stack)} cannot be the name of a stack.`,
    );
  }
  const name = `Pulumi.${stack}.yaml`;
  const text = await readFile(projectPath(name), "utf8").catch(() => {
    throw new UserError(
      `There is no ${name}. Name a stack that has one, by --stack.`,
    );
  });
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new UserError(`${name} is no YAML: ${(error as Error).message}`);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    throw new UserError(`${name}: ${z.prettifyError(parsed.error)}`);
  }
  const { config, secretsprovider } = parsed.data;
  return {
    stack,
    hasPassphrase:
      secretsprovider === undefined || secretsprovider === "passphrase",
    config: Object.fromEntries(
      Object.entries(config ?? {})
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key.slice(prefix.length), value]),
    ),
  };
}

/** Where in a value something is encrypted: paths of keys and indices. */
export function securePaths(
  value: unknown,
  path: readonly string[] = [],
): readonly (readonly string[])[] {
  if (value === null || typeof value !== "object") return [];
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === "secure") return [path];
  return entries.flatMap(([key, inner]) => securePaths(inner, [...path, key]));
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
        ([name, value]) => [`${prefix}${name}`, JSON.stringify(value)],
      ),
    ),
  );
}
