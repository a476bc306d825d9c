/** A stack's own file, read as it is in the checkout: for what needs no engine, and no passphrase. */

import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import {
  type ConfigValues,
  configPrefix,
  parseConfig,
  type StackConfig,
} from "./config.ts";
import { UserError } from "./errors.ts";
import { projectPath } from "./projectPaths.ts";

/** Sections that say nothing of images, and may hold secrets in fields of any form. */
const otherSections = ["cloud-images:gitlab", "cloud-images:runnerHosts"];

/** What stands for a secret, which nobody reads here. */
const secret = "[secret]";

/** Makes sure that a name can be a stack's, before it meets a path or a command. */
export function requireStackName(stack: string): void {
  if (/^[A-Za-z0-9_.-]{1,100}$/.test(stack)) return;
  throw new UserError(
    `${JSON.stringify(stack)} cannot be the name of a stack.`,
  );
}

const fileSchema = z.looseObject({
  secretsprovider: z.string().optional(),
  config: z.record(z.string(), z.unknown()).nullish(),
});

/** `Pulumi.STACK.yaml`. */
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
  requireStackName(stack);
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
        .filter(([key]) => key.startsWith(configPrefix))
        .map(([key, value]) => [key.slice(configPrefix.length), value]),
    ),
  };
}

/**
 * The configuration in `Pulumi.STACK.yaml`, as Pulumi would hand it to the program, with every secret covered.
 *
 * @throws {UserError} as {@link readStackFile} does.
 */
export async function readStackValues(stack: string): Promise<ConfigValues> {
  const { config } = await readStackFile(stack);
  return Object.fromEntries(
    Object.entries(config).map(
      ([key, value]) =>
        [`${configPrefix}${key}`, JSON.stringify(value, cover)] as const,
    ),
  );
}

/**
 * What a stack's file says of images: where they are kept and published, and which.
 *
 * @throws {UserError} for a file that is not there, and naming each field that is wrong.
 */
export async function readStackConfig(stack: string): Promise<StackConfig> {
  const values = await readStackValues(stack);
  return parseConfig(
    stack,
    Object.fromEntries(
      Object.entries(values).filter(([key]) => !otherSections.includes(key)),
    ),
  );
}

/**
 * Which fields of a section are not encrypted, neither by themselves nor with what they are in. Pure.
 *
 * @param section as the file has it; of one that is not there, none is
 * @param fields paths such as `variables[0].value`
 */
export function fieldsInClear(
  section: unknown,
  fields: readonly string[],
): readonly string[] {
  if (section === undefined) return [];
  return fields.filter((field) => {
    let value: unknown = section;
    for (const name of field.match(/[^.[\]]+/g) ?? []) {
      if (isEncrypted(value) || !isObject(value)) break;
      value = value[name];
    }
    return !isEncrypted(value);
  });
}

/** Lists have numbers for names. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** `{ secure: … }` is how Pulumi writes what it encrypted. */
export function isEncrypted(value: unknown): boolean {
  return isObject(value) && Object.keys(value).join() === "secure";
}

function cover(_name: string, value: unknown): unknown {
  return isEncrypted(value) ? secret : value;
}
