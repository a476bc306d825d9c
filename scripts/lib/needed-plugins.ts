/** Prints the provider plugins that a stack needs, with the versions of their packages: `aws 7.48.0`, a line for each. */

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { UserError } from "../../infra/errors.ts";
import { neededPlugins } from "../../infra/neededPlugins.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import { readStackFile } from "../../infra/stackFile.ts";

const packageSchema = z.looseObject({ version: z.string() });

try {
  const [stack = ""] = process.argv.slice(2);
  for (const name of neededPlugins(await readStackFile(stack))) {
    const path = projectPath(`node_modules/@pulumi/${name}/package.json`);
    const { version } = packageSchema.parse(
      JSON.parse(await readFile(path, "utf8")),
    );
    console.log(`${name} ${version}`);
  }
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
