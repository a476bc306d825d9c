/** `scripts/ci update`: brings stacks up, one after the other. */

import { parseArgs } from "node:util";
import { execa } from "execa";
import { UserError } from "../../../infra/errors.ts";
import { parseReleaseKeys } from "../../../infra/pipeline/releaseKeys.ts";
import { projectDirectory, projectPath } from "../../../infra/projectPaths.ts";
import { requireStackName } from "../../../infra/stackFile.ts";

export const usage = `scripts/ci update STACK… [--keys KEYS]

Brings each STACK up as scripts/up does, also when one before it failed. What the store has is not built again. With KEYS
(with commas between them) a stack publishes those builds, and not what its sources and the archive would give now.`;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals: stacks } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { keys: { type: "string" } },
  });
  if (stacks.length === 0) {
    throw new UserError(
      "scripts/ci update: name a stack. Run scripts/ci update --help.",
    );
  }
  for (const stack of stacks) requireStackName(stack);
  const config =
    values.keys === undefined
      ? []
      : [
          "--config",
          `cloud-images:keys=${JSON.stringify(parseReleaseKeys(values.keys))}`,
        ];
  let worst = 0;
  for (const stack of stacks) {
    const { exitCode = 1 } = await execa(
      projectPath("scripts/up"),
      [stack, "--yes", ...config],
      { cwd: projectDirectory, stdio: "inherit", reject: false },
    );
    if (exitCode !== 0) console.error(`The stack ${stack} was not brought up.`);
    worst = Math.max(worst, exitCode);
  }
  return worst;
}
