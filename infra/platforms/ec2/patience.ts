/** Waiting for something at AWS, or on this machine, that comes in its own time. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Patience } from "../../aws/patientCaller.ts";

/** Each pause is so much longer than the one before, up to the longest. */
const growth = 1.5;

/**
 * Looks until something is so. Pauses grow, and take half to all of their length, so that those who wait do not march
 * in step.
 *
 * @returns what was seen last; when patience ends, it is not so
 */
export async function waitFor<T>(
  { seconds, firstPauseSeconds, longestPauseSeconds }: Patience,
  look: () => Promise<T>,
  isSo: (seen: T) => boolean,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (let pause = firstPauseSeconds; ; pause *= growth) {
    const seen = await look();
    if (isSo(seen) || performance.now() >= end) return seen;
    const longest = Math.min(pause, longestPauseSeconds);
    await sleep(longest * 1000 * (0.5 + Math.random() / 2));
  }
}
