/**
 * Who made a private directory, written into its name, so that what a killed process left behind can
 * be told from what a running one still needs.
 */

import { readFileSync, readlinkSync } from "node:fs";

/** `<boot>-<pid namespace>-<pid>-<start time>`, of characters that are safe in a file name. */
export type ProcessIdentity = string;

/**
 * - `alive`: runs on this machine now.
 * - `dead`: ran on this machine and is gone; a process that reuses its pid has another start time.
 * - `elsewhere`: another machine, container or boot, about which nothing can be known from here.
 */
export type ProcessState = "alive" | "dead" | "elsewhere";

/** A process identity at the beginning of a name, in groups: world, pid, start time. */
const identityPattern = /^([0-9a-f]{8}-[0-9]+)-([0-9]+)-([0-9]+)(?=-|$)/;

/** States of a process in /proc/<pid>/stat that runs no code any more: zombie and dead (proc(5)). */
const endedStates = ["Z", "X", "x"];

interface ProcessStat {
  readonly state: string;
  /** Field 22 of /proc/<pid>/stat: clock ticks from boot to the start of the process. */
  readonly startTicks: string;
}

/** This process. It stays the same as long as the process runs. */
export function ownIdentity(): ProcessIdentity {
  const stat = processStat(process.pid);
  if (stat === undefined) {
    throw new Error(
      "/proc/self/stat cannot be read: this program needs Linux with /proc mounted.",
    );
  }
  return `${ownWorld()}-${process.pid}-${stat.startTicks}`;
}

/**
 * What became of the process whose identity a name begins with, or `undefined` for a name that begins
 * with none.
 */
export function ownerState(name: string): ProcessState | undefined {
  const match = identityPattern.exec(name);
  if (match === null) return undefined;
  const [, world, pid, startTicks] = match;
  if (world !== ownWorld()) return "elsewhere";
  const stat = processStat(Number(pid));
  const same = stat !== undefined && stat.startTicks === startTicks;
  return same && !endedStates.includes(stat.state) ? "alive" : "dead";
}

/** Where pids mean the same thing as here: this boot of this machine, and this pid namespace. */
function ownWorld(): string {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "ascii");
  const namespace = readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
  return `${boot.slice(0, 8)}-${namespace}`;
}

function processStat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses and may itself hold any character.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startTicks: fields[19] ?? "" };
  } catch {
    return undefined;
  }
}
