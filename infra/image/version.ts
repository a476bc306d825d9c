/** The public names of builds. Pure. */

import type { ImageVersion } from "../definitions/definition.ts";

/**
 * A version that no build of the definition has: `YYYYMMDD-HHMM`, in UTC. The minute instead of a counter
 * means that a name is not given twice, even after everything that would remember it was deleted.
 *
 * @param moment when the run began that builds
 * @param taken versions that builds of the same definition have
 */
export function freeVersion(
  moment: Date,
  taken: readonly ImageVersion[],
): ImageVersion {
  const digits = moment.toISOString().replace(/\D/g, "");
  const version =
    `${digits.slice(0, 8)}-${digits.slice(8, 12)}` as ImageVersion;
  if (!taken.includes(version)) return version;
  return freeVersion(new Date(moment.getTime() + 60_000), taken);
}
