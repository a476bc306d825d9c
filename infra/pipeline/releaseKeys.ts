/** Which builds are to be released, as one text that a pipeline hands to another. Pure. */

import type { DefinitionName, ImageKey } from "../definitions/definition.ts";
import { UserError } from "../errors.ts";
import type { PublicationRecord } from "../store/records.ts";

/** The variable that carries it. */
export const releaseKeysVariable = "CLOUD_IMAGES_RELEASE_KEYS";

/** GitLab's limit for all variables of a dotenv report together: 5 KB (limits of GitLab CI, "dotenv file size"). */
const mostBytes = 5 * 1024;

/**
 * The newest build of each image that a stack has published, anywhere.
 *
 * @param records the stack's own
 */
export function newestKeys(
  records: readonly PublicationRecord[],
): ReadonlyMap<DefinitionName, PublicationRecord> {
  const newest = new Map<DefinitionName, PublicationRecord>();
  for (const record of records) {
    const { name } = record.definition;
    const other = newest.get(name);
    if (other === undefined || other.version < record.version) {
      newest.set(name, record);
    }
  }
  return newest;
}

/**
 * The line of a dotenv file.
 *
 * @throws {UserError} for none, and for more keys than GitLab takes.
 */
export function releaseLine(keys: readonly ImageKey[]): string {
  if (keys.length === 0) {
    throw new UserError(
      "The stack has published nothing yet, so there is nothing to release. Bring it up first.",
    );
  }
  const line = `${releaseKeysVariable}=${keys.join(",")}\n`;
  if (line.length > mostBytes) {
    throw new UserError(
      `${keys.length} keys are more than a variable of GitLab's may carry from job to job (5 KB). Let the stack have fewer definitions, or divide them among stacks.`,
    );
  }
  return line;
}

/**
 * Reads what {@link releaseLine} gave as the value of its variable.
 *
 * @throws {UserError} for anything else.
 */
export function parseReleaseKeys(text: string): readonly ImageKey[] {
  if (/^[0-9a-f]{64}(,[0-9a-f]{64})*$/.test(text)) {
    return text.split(",") as ImageKey[];
  }
  throw new UserError(
    `${JSON.stringify(text.slice(0, 80))} is no list of image keys: they have 64 hex digits each, with commas between them.`,
  );
}
