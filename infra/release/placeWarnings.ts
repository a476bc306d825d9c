/** What places say of as many versions as they are to have. Pure. */

import { isOfPlace, type Place } from "../platforms/platform.ts";
import type { PublicationRecord } from "../store/records.ts";

/**
 * @param versions all that are to be somewhere
 * @param published records of all that are somewhere by now
 */
export function placeWarnings(
  places: readonly Place[],
  versions: readonly {
    readonly destinations: readonly { readonly place: Place }[];
  }[],
  published: readonly PublicationRecord[],
): readonly string[] {
  return places.flatMap((place) => {
    const before = published.filter((record) => isOfPlace(place, record));
    const after = versions.filter(({ destinations }) =>
      destinations.some((destination) => destination.place === place),
    );
    const counts = { before: before.length, after: after.length };
    return place.warning?.(counts) ?? [];
  });
}
