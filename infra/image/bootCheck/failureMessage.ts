/** What a failed boot check says to people. Pure. */

import type { Assertion } from "./judge.ts";
import type { Observation } from "./observation.ts";
import type { BootCheckRequest, OutputFiles } from "./request.ts";

/** A check that failed. */
export interface Failure {
  readonly request: Pick<BootCheckRequest, "definition" | "firmware">;
  readonly output: OutputFiles;
  readonly observation: Observation;
  readonly assertions: readonly Assertion[];
}

/** Says what did not hold, with the console's last lines and where all of it is. */
export function failureMessage(failure: Failure): string {
  const { request, output, observation, assertions } = failure;
  return [
    `${request.definition.name} failed its boot check by ${request.firmware} after ${Math.round(observation.durationSeconds)} s.`,
    ...assertions.flatMap(problemOf),
    ...section("The console's last lines", observation.consoleTail),
    ...(observation.consoleTail.length === 0
      ? section("The firmware's last lines", observation.firmwareTail)
      : []),
    `Whole console: ${output.console}`,
    observation.hasScreenshot
      ? `Display: ${output.screenshot}`
      : "Display: could not be recorded",
  ].join("\n");
}

function problemOf({ name, verdict }: Assertion): readonly string[] {
  if (verdict.kind !== "failed") return [];
  const problem = verdict.problem.trimEnd();
  const end = /[.!?]$/.test(problem) ? "" : ".";
  return [`Not proved: ${name}: ${problem}${end}`];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [`${title}: none`];
  return [`${title}:`, ...lines.map((line) => `    ${line}`)];
}
