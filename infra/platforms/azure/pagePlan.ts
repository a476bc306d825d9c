/** Which pages of a blob are sent, and which are there. Pure. */

import type { Extent } from "../../store/sparseFile.ts";

/** The most that one Put Page takes (learn.microsoft.com, "Put Page"). */
export const putBytes = 4 * 1024 ** 2;

/** A blob of pages begins and ends at multiples of it. */
export const pageBytes = 512;

/** Data in pieces that can be sent at once, in order. */
export function putsOf(extents: readonly Extent[]): readonly Extent[] {
  return extents.flatMap(({ start, bytes }) =>
    Array.from({ length: Math.ceil(bytes / putBytes) }, (_, index) => ({
      start: start + index * putBytes,
      bytes: Math.min(putBytes, bytes - index * putBytes),
    })),
  );
}

/** In order, and those that touch or overlap as one: servers differ in whether they tell them so. */
export function joined(ranges: readonly Extent[]): readonly Extent[] {
  const result: Extent[] = [];
  for (const { start, bytes } of ranges.toSorted(
    (one, other) => one.start - other.start,
  )) {
    const last = result.at(-1);
    if (last === undefined || last.start + last.bytes < start) {
      result.push({ start, bytes });
      continue;
    }
    const end = Math.max(last.start + last.bytes, start + bytes);
    result[result.length - 1] = { start: last.start, bytes: end - last.start };
  }
  return result;
}

/** Those of the pieces that are not there as a whole. */
export function missingPuts(
  puts: readonly Extent[],
  ranges: readonly Extent[],
): readonly Extent[] {
  const there = joined(ranges);
  let at = 0;
  return puts.filter(({ start, bytes }) => {
    while (at < there.length && endOf(there[at] as Extent) <= start) at++;
    const range = there[at];
    return (
      range === undefined || range.start > start || endOf(range) < start + bytes
    );
  });
}

/** How many bytes there are in all. */
export function totalBytes(extents: readonly Extent[]): number {
  return extents.reduce((total, { bytes }) => total + bytes, 0);
}

function endOf({ start, bytes }: Extent): number {
  return start + bytes;
}
