/** What a benchmark is, and what it is given to run with. */

import { createReadStream } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { measure } from "./measure/measure.ts";
import type { Comparison, Side } from "./results.ts";

/** One benchmark, known by its file's name. */
export interface Benchmark {
  /** One line for people. */
  readonly summary: string;
  readonly run: (context: Context) => Promise<readonly Comparison[]>;
}

/** What all benchmarks of a run share. */
export interface Context {
  /** A private directory on the checkout's disk; removed at the end. */
  readonly directory: string;
  /** Takes the logs of the measured programs; stays. */
  readonly logs: string;
  /** Aborted when the run is to end. */
  readonly signal: AbortSignal;
  /** Tells people what is going on. */
  readonly say: (message: string) => void;
}

/** What a program of `sides/` prints: its result, or why this machine cannot do what it does. */
export type SideAnswer<Result> =
  | { readonly result: Result }
  | { readonly skipped: string };

/** A side and, if it came to its end, what its program found out. */
export interface MeasuredSide<Result> {
  readonly side: Side;
  readonly result?: Result;
}

/** How often people hear that a program still runs. In milliseconds. */
const tickInterval = 10_000;

/**
 * Measures one of the programs of `sides/`, a Node process of its own.
 *
 * @param label names the measurement, also its log
 * @param request what the program is asked to do, as {@link answer} hands it over
 */
export async function measureSide<Result>(
  context: Context,
  label: string,
  program: URL,
  request: unknown,
): Promise<MeasuredSide<Result>> {
  const measured = await measureCommand(context, label, [
    process.execPath,
    fileURLToPath(program),
    JSON.stringify(request),
  ]);
  if ("failed" in measured) return { side: measured };
  const answer = JSON.parse(measured.stdout) as SideAnswer<Result>;
  return "skipped" in answer
    ? { side: answer }
    : { side: measured.usage, result: answer.result };
}

/** What a command took and printed, or why it came to no good end. */
export type MeasuredCommand =
  | { readonly usage: Side; readonly stdout: string }
  | { readonly failed: string };

/** Measures any command; a failed one gives no figures. */
export async function measureCommand(
  context: Context,
  label: string,
  command: readonly string[],
): Promise<MeasuredCommand> {
  const { logs, say, signal } = context;
  const log = join(logs, `${label.replaceAll(/[^A-Za-z0-9]+/g, "-")}.log`);
  say(`${label} … (log: ${log})`);
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const ticker = setInterval(
    () => say(`${label} … ${seconds()} s`),
    tickInterval,
  );
  try {
    const { exitCode, stdout, usage } = await measure(command, log, signal);
    if (exitCode === 0) {
      say(`${label}: ${usage.seconds.toFixed(1)} s`);
      return { usage: { ...usage }, stdout };
    }
    const last = (await text(createReadStream(log))).trimEnd().split("\n");
    const failed = `${last.at(-1) || `exit code ${exitCode}`} (the whole log is in ${log})`;
    say(`${label}: failed`);
    return { failed };
  } finally {
    clearInterval(ticker);
  }
}
