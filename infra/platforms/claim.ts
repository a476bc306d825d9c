/** Whose a publication's record is. Pure. */

import type {
  DefinitionName,
  ImageKey,
  ImageVersion,
} from "../definitions/definition.ts";
import type { PublicationRecord } from "../store/records.ts";

/** A publication in a place that has a name. */
export interface PlacedPublication {
  readonly stack: string;
  readonly key: ImageKey;
  readonly definition: DefinitionName;
  readonly version: ImageVersion;
  readonly place: string;
}

/** Says whose a record is, unless it is this publication's. */
export function claimOfAnother(
  { stack, key, definition, version, place }: PlacedPublication,
  record: PublicationRecord,
): string | undefined {
  const name = `${definition} ${version}`;
  if (record.stack !== stack) {
    return `${name} is published to ${place} by the stack ${record.stack}, and one store has one publication of a version in a place and channel. Destroy it there, or give this stack a store of its own, or the place another name.`;
  }
  if (record.key !== key) {
    return `${name} is published to ${place} from the key ${record.key}, and a version is never used again. Destroy that publication before this one is made.`;
  }
  return undefined;
}
