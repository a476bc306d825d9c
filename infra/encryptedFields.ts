/** Makes sure that nobody wrote a secret into the stack's file. */

import * as pulumi from "@pulumi/pulumi";
import { configPrefix } from "./config.ts";
import { UserError } from "./errors.ts";
import { fieldsInClear, readStackFile } from "./stackFile.ts";

/** Tells every program which keys of its configuration have something encrypted in them, as JSON. */
const secretKeysVariable = "PULUMI_CONFIG_SECRET_KEYS";

/**
 * Looks for secrets that are not encrypted. Pulumi tells of a whole section only whether something in it is; the stack's
 * file shows it of each field.
 *
 * @param section name of it, without the project's
 * @param fields paths of those in it that are secrets, as `config set --path` takes them
 * @throws {UserError} naming the first field and how it gets encrypted.
 */
export async function requireEncrypted(
  section: string,
  fields: readonly string[],
): Promise<void> {
  const stack = pulumi.getStack();
  const key = `${configPrefix}${section}`;
  const [field] = hasEncrypted(key)
    ? fieldsInClear(await sectionInFile(stack, section), fields)
    : fields;
  if (field === undefined) return;
  throw new UserError(
    `Pulumi.${stack}.yaml: ${key}.${field} is a secret, and stands there in clear. ` +
      `Let Pulumi encrypt it: scripts/pulumi config set --stack ${stack} --secret --path '${key}.${field}'`,
  );
}

function hasEncrypted(key: string): boolean {
  const keys: unknown = JSON.parse(process.env[secretKeysVariable] ?? "[]");
  return Array.isArray(keys) && keys.includes(key);
}

/** `undefined` where the configuration comes from elsewhere, as with `--config-file`. */
async function sectionInFile(stack: string, section: string): Promise<unknown> {
  // The engine has told already of a file that it could not read.
  const file = await readStackFile(stack).catch(() => undefined);
  return file?.config[section];
}
