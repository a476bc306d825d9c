/** What GitLab has to hear of a host's machines. Pure. */

import type { HostConfig } from "./runnerHostsConfig.ts";

/** Without machines that may be away: GitLab notes contacts every 55 minutes at the latest, so this is one that was missed. */
const usualSilentMinutes = 120;

/** Where there may be no machine at all: longer than from one weekly build to the next. */
const restingSilentMinutes = 8 * 24 * 60;

/** How many of a host's machines there are at any time. */
export function machinesAlways(host: HostConfig): number {
  if (host.kind === "existing") return 1;
  return host.hours === undefined ? host.machines.max : host.machines.min;
}

/** How long GitLab may hear nothing of a host, in minutes. */
export function silentMinutesOf(host: HostConfig): number {
  if (host.silentMinutes !== undefined) return host.silentMinutes;
  return machinesAlways(host) === 0 ? restingSilentMinutes : usualSilentMinutes;
}
