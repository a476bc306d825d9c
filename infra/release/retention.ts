/** Which older versions stay. Pure. */

import type { ImageKey } from "../definitions/definition.ts";
import type { PublicationRecord } from "../store/records.ts";

/**
 * The publications of one definition in one place that stay beside the newest key. Each place counts for itself: one
 * that could not be reached for a while keeps what it has.
 *
 * The newest key counts whether it is published already or not, so that running again decides the same.
 *
 * @param current the key that the definition has now
 * @param published what is published of the definition there
 * @param versions how many stay, the newest included; at least 2
 * @returns newest first
 */
export function olderVersions(
  current: ImageKey,
  published: readonly PublicationRecord[],
  versions: number,
): readonly PublicationRecord[] {
  return published
    .filter(({ key }) => key !== current)
    .sort((a, b) => (a.version < b.version ? 1 : -1))
    .slice(0, versions - 1);
}
