/**
 * Runs a program and measures it with all that it starts.
 *
 * - seconds: from its start to its end, by the clock.
 * - processor time: user and system, of every process of the tree. A control group counts them all. Where none
 *   can be made, it is what the processes' parents have waited for: processes that were killed unseen, and
 *   those that were left to init, are missing then.
 * - peak memory: see memory.ts; looked at four times a second.
 *
 * Threads of the kernel that work for the tree (loop devices, writing to disk) belong to nobody and are not counted.
 */

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import type { Usage } from "../results.ts";
import { type Cgroup, makeCgroup } from "./cgroup.ts";
import { descendantsOf, MemoryWatch } from "./memory.ts";
import { secondsOfTimes } from "./proc.ts";

/** A program that was measured. */
export interface Measured {
  readonly usage: Usage;
  /** `null` when it was killed. */
  readonly exitCode: number | null;
  readonly stdout: string;
}

/**
 * Moves into the control group, runs the program, and leaves on descriptor 3 what processor time its children
 * have taken, as its parent sees it.
 */
const wrapper = `
entrance=$1; shift
if [[ -n $entrance ]]; then echo $$ > "$entrance" || exit 125; fi
"$@" 3>&-
status=$?
times >&3
exit $status`;

/**
 * Measures a program.
 *
 * @param logPath gets its standard error
 * @param signal ends it, and all it started, when aborted
 * @param options `cgroup: false` does without a control group
 * @throws the signal's reason when it is aborted.
 */
export async function measure(
  command: readonly string[],
  logPath: string,
  signal: AbortSignal,
  options: { readonly cgroup?: boolean } = {},
): Promise<Measured> {
  signal.throwIfAborted();
  const cgroup = options.cgroup === false ? undefined : await makeCgroup();
  try {
    return await run(command, logPath, signal, cgroup);
  } finally {
    await cgroup?.close();
  }
}

async function run(
  command: readonly string[],
  logPath: string,
  signal: AbortSignal,
  cgroup: Cgroup | undefined,
): Promise<Measured> {
  const started = performance.now();
  const child = spawn(
    "setpriv",
    [
      ...["--pdeathsig", "KILL", "bash", "-c", wrapper, "measure"],
      ...[cgroup?.entrance ?? "", ...command],
    ],
    // A group of its own: Ctrl-C is for this program to hear.
    { detached: true, stdio: ["ignore", "pipe", "pipe", "pipe"] },
  );
  const exit = Promise.withResolvers<number | null>();
  child.on("error", exit.reject);
  child.on("exit", exit.resolve);
  const kill = () => child.pid && process.kill(-child.pid, "SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const memory = new MemoryWatch(
    cgroup?.processes ?? (() => descendantsOf(child.pid ?? process.pid)),
  );
  const log = createWriteStream(logPath);
  const [, stdout, stderr, times] = child.stdio as unknown as Readable[];
  stderr?.pipe(log);
  const said = Promise.all([
    stdout ? text(stdout) : "",
    times ? text(times) : "",
    finished(log),
  ]);
  // It is awaited once the program has ended.
  said.catch(() => {});
  try {
    const exitCode = await exit.promise;
    const seconds = (performance.now() - started) / 1000;
    signal.throwIfAborted();
    const peakMemoryMiB = await memory.peakMiB();
    const cpuSeconds = await cgroup?.cpuSeconds();
    // Whoever is left keeps the pipes open.
    await cgroup?.close();
    const [output, spent] = await said;
    return {
      usage: {
        seconds,
        cpuSeconds: cpuSeconds ?? secondsOfTimes(spent),
        peakMemoryMiB,
      },
      exitCode,
      stdout: output,
    };
  } finally {
    signal.removeEventListener("abort", kill);
    await memory.peakMiB();
  }
}
