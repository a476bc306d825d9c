/** Commands of scripts/ci in a copy of the project, as jobs call them. */

import { mkdir, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { engineEnvironment } from "../engine.ts";
import type { EngineEnd, EngineProject } from "../engineProject.ts";

const runner = `
const [name, ...args] = process.argv.slice(2);
const { run } = await import(\`./ci/\${name}.ts\`);
try {
  process.exitCode = await run(args);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
`;

/** What a job has where the stack's state is at hand. */
export function stateVariables(
  project: EngineProject,
): Readonly<Record<string, string>> {
  return engineEnvironment(project.directory, [project.path("bin")]);
}

/** The same in the pipeline of a fork, or of a branch without variables. */
export function noStateVariables(
  project: EngineProject,
): Readonly<Record<string, string>> {
  const {
    PULUMI_BACKEND_URL: _,
    PULUMI_CONFIG_PASSPHRASE: __,
    ...others
  } = stateVariables(project);
  return others;
}

/** Runs a command to its end. */
export async function runCi(
  project: EngineProject,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<EngineEnd> {
  await mkdir(project.path("scripts/lib"), { recursive: true });
  const path = project.path("scripts/lib/run-ci-command.ts");
  await writeFile(path, runner);
  const { exitCode = -1, all } = await execa(
    process.execPath,
    [path, ...args],
    {
      ...{ all: true, reject: false, extendEnv: false, env },
      cwd: project.directory,
    },
  );
  return { exitCode, output: all };
}
