/** A stack's own file, read as it is in the checkout: for what needs no engine, and no passphrase. */

import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { type ConfigValues, parseConfig, type StackConfig } from "./config.ts";
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

/**
 * The configuration in `Pulumi.STACK.yaml`, as Pulumi would hand it to the program, with every secret covered.
 *
 * @throws {UserError} for a name that is none, and a file that is not there.
 */
export async function readStackValues(stack: string): Promise<ConfigValues> {
  requireStackName(stack);
  const file = `Pulumi.${stack}.yaml`;
  const text = await readFile(projectPath(file), "utf8").catch(() => {
    throw new UserError(
      `There is no ${file}. Name a stack that has one, by --stack.`,
    );
  });
  const { config = {} } = (parse(text) ?? {}) as { config?: object };
  const values = Object.entries(config).map(
    ([key, value]: [string, unknown]) =>
      [key, JSON.stringify(value, cover)] as const,
  );
  return Object.fromEntries(values);
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

/** `{ secure: … }` is how Pulumi writes what it encrypted. */
function cover(_name: string, value: unknown): unknown {
  const isSecret =
    value !== null &&
    typeof value === "object" &&
    Object.keys(value).join() === "secure";
  return isSecret ? secret : value;
}
