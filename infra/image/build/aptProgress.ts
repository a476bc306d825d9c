/** Reads how far a package installation is from what apt-get and dpkg print. Pure. */

import type { BuildEvent, Phase } from "./request.ts";

/** Where a build stands, as far as its output has told. */
export interface AptProgress {
  readonly phase: Phase;
  readonly done: number;
  readonly all: number;
}

/** Before the first line: what FAI's output is read from, or that of a layer's installation. */
export function aptProgressFrom(phase: Phase): AptProgress {
  return { phase, done: 0, all: 0 };
}

/** Phases in which apt says how many packages it will set up. */
const announcing: readonly Phase[] = ["shared packages", "download"];
/** Phases in which it does. */
const installing: readonly Phase[] = ["shared packages", "packages"];

/** FAI's names for its tasks, and the phase each begins. */
const taskPhases: Readonly<Record<string, Phase>> = {
  updatebase: "package lists",
  instsoft: "download",
  configure: "scripts",
};

/**
 * Takes one line of FAI's output.
 *
 * @returns the new state, and what is worth telling of it
 */
export function readAptLine(
  progress: AptProgress,
  line: string,
): { progress: AptProgress; events: readonly BuildEvent[] } {
  const task = /^Calling task_(\w+)/.exec(line)?.[1];
  const phase = taskPhases[task ?? ""];
  if (phase !== undefined) return enter({ ...progress, phase, done: 0 }, phase);
  const all = /^\d+ upgraded, (\d+) newly installed/.exec(line)?.[1];
  if (all !== undefined && announcing.includes(progress.phase)) {
    return { progress: { ...progress, all: Number(all) }, events: [] };
  }
  if (progress.phase === "download" && /^(Preparing to u|U)npack/.test(line)) {
    return enter({ ...progress, phase: "packages" }, "packages");
  }
  if (installing.includes(progress.phase) && line.startsWith("Setting up ")) {
    const next = { ...progress, done: progress.done + 1 };
    const { done } = next;
    return {
      progress: next,
      events: [{ kind: "packages", done, all: Math.max(next.all, done) }],
    };
  }
  return { progress, events: [] };

  function enter(next: AptProgress, entered: Phase) {
    return {
      progress: next,
      events: [{ kind: "phase", phase: entered } as const],
    };
  }
}
