/** `scripts/ci sources`: what a checkout says of a stack's images, as JSON for `affected` of another one. */

import { parseArgs } from "node:util";
import { stackSources } from "../../../infra/pipeline/stackSources.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { stack: { type: "string", default: "local" } },
  });
  console.log(JSON.stringify(await stackSources(values.stack)));
  return 0;
}
