/** What GitLab has to hear of a host's machines. Pure. */

import type { HostConfig, RunnerHostsConfig } from "./runnerHostsConfig.ts";

/** Without machines that may be away: GitLab notes contacts every 55 minutes at the latest, so this is one that was missed. */
const usualSilentMinutes = 120;

/** Where there may be no machine at all: longer than from one weekly build to the next. */
const restingSilentMinutes = 8 * 24 * 60;

/** How many of a host's machines there are at any time. */
function machinesAlways(host: HostConfig): number {
  if (host.kind === "existing") return 1;
  return host.hours === undefined ? host.machines.max : host.machines.min;
}

/** How many machines a runner is on at any time: GitLab does not tell those of one host from those of another. */
export function machinesOf(runner: string, hosts: RunnerHostsConfig): number {
  return Object.values(hosts)
    .filter(({ runners }) => runners.includes(runner))
    .reduce((sum, host) => sum + machinesAlways(host), 0);
}

/** How long GitLab may hear nothing of a host, in minutes. */
export function silentMinutesOf(host: HostConfig): number {
  if (host.silentMinutes !== undefined) return host.silentMinutes;
  return machinesAlways(host) === 0 ? restingSilentMinutes : usualSilentMinutes;
}
