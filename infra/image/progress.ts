/** What people see of work that takes long. */

import type { ProgressListener } from "./build/build.ts";

/** At most one line in so many seconds for each piece of work, besides the first line of each phase. */
const intervalSeconds = 10;

/**
 * Prints a build's progress. Pulumi shows what a provider prints as it comes.
 *
 * @param label names the build
 */
export function progressReporter(label: string): ProgressListener {
  let lastPhase = "";
  let lastSeconds = Number.NEGATIVE_INFINITY;
  return ({ phase, packages, elapsedSeconds }) => {
    const isDue = elapsedSeconds - lastSeconds >= intervalSeconds;
    if (phase === lastPhase && !isDue) return;
    lastPhase = phase;
    lastSeconds = elapsedSeconds;
    const count =
      packages === undefined ? "" : ` ${packages.done} of ${packages.all}`;
    console.log(`${label}: ${phase}${count}, ${Math.round(elapsedSeconds)} s`);
  };
}
