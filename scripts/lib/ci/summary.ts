/** `scripts/ci summary`: what the jobs of a pipeline made of their images. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "../../../infra/errors.ts";
import { jobsDirectory } from "../../../infra/pipeline/childPipeline.ts";
import {
  isAcceptable,
  type Outcome,
  parseReport,
  summaryText,
} from "../../../infra/pipeline/imageReport.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { definitionNameSchema } from "../../../infra/store/records.ts";

export const usage = `scripts/ci summary IMAGE…

Says of each IMAGE whether it was built, was there already, or broke, and where, by the reports that scripts/ci build left
below ${jobsDirectory}. The exit code is 1 when one broke that must not, or has no report.`;

export async function run(args: readonly string[]): Promise<number> {
  const { positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {},
  });
  const outcomes = await Promise.all(positionals.map(outcomeOf));
  console.log(summaryText(outcomes));
  return outcomes.every(isAcceptable) ? 0 : 1;
}

async function outcomeOf(definition: string): Promise<Outcome> {
  if (!definitionNameSchema.safeParse(definition).success) {
    throw new UserError(
      `${JSON.stringify(definition)} cannot be the name of an image.`,
    );
  }
  const path = projectPath(
    join(jobsDirectory, definition, "report/result.json"),
  );
  const text = await readFile(path, "utf8").catch(() => undefined);
  return {
    definition,
    report: text === undefined ? undefined : parseReport(text),
  };
}
