/** Runs benchmarks by name. What they measure, and how, stands in each one's own file. */

import { mkdir, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { UserError } from "../infra/errors.ts";
import { projectPath } from "../infra/projectPaths.ts";
import { withPrivateDirectory } from "../infra/store/directories.ts";
import { parseArguments } from "./arguments.ts";
import { azure } from "./azure.ts";
import type { Benchmark, Context } from "./benchmark.ts";
import { boot } from "./boot.ts";
import { build } from "./build.ts";
import { compression } from "./compression.ts";
import { ec2 } from "./ec2.ts";
import { manyDefinitions } from "./manyDefinitions.ts";
import { openstack } from "./openstack.ts";
import { publications } from "./publications.ts";
import { type Comparison, toJson, toTable } from "./results.ts";
import { variants } from "./variants.ts";

const benchmarks: Readonly<Record<string, Benchmark>> = {
  build,
  variants,
  boot,
  compression,
  ec2,
  openstack,
  publications,
  azure,
  definitions: manyDefinitions,
};

const usage = `Usage: scripts/bench NAME… [--json]

Runs benchmarks, each of which does the same thing in two ways, one after the other, on this machine:

${Object.entries(benchmarks)
  .map(([name, { summary }]) => `  ${name.padEnd(13)}${summary}`)
  .join("\n")}

For both ways it shows the seconds they took, the processor time and the peak memory of all their processes, and
the ratio of their seconds: the second way's by the first's, which is ours. Nothing else should run meanwhile.

  --json   the same as one JSON object on standard output
  --help   this text`;

/** Big files are made on the checkout's disk, logs stay there. */
const directory = projectPath(".cache/bench");

const say = (message: string) => console.error(message);

try {
  const wanted = parseArguments(process.argv.slice(2), Object.keys(benchmarks));
  if (wanted.kind === "help") console.log(usage);
  else await run(wanted.names, wanted.json);
} catch (error) {
  const message =
    error instanceof UserError ? `Error: ${error.message}` : error;
  console.error(message);
  process.exitCode = 1;
}

async function run(names: readonly string[], json: boolean): Promise<void> {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () =>
      controller.abort(new UserError(`The run was ended by ${name}.`)),
    );
  }
  const load = (await readFile("/proc/loadavg", "utf8")).split(" ")[0];
  say(`${availableParallelism()} cores, load average ${load} at the start`);
  const comparisons = await withPrivateDirectory(directory, "run-", (place) =>
    runAll(names, place, controller.signal),
  );
  console.log(json ? toJson(comparisons) : toTable(comparisons));
  const sides = comparisons.flatMap(({ ours, theirs }) => [ours, theirs]);
  if (sides.some((side) => "failed" in side)) process.exitCode = 1;
}

async function runAll(
  names: readonly string[],
  place: string,
  signal: AbortSignal,
): Promise<readonly Comparison[]> {
  const logs = `${directory}/logs`;
  await mkdir(logs, { recursive: true });
  const comparisons: Comparison[] = [];
  for (const name of names) {
    const own = `${place}/${name}`;
    await mkdir(own);
    const context: Context = { directory: own, logs, signal, say };
    comparisons.push(...((await benchmarks[name]?.run(context)) ?? []));
  }
  return comparisons;
}
