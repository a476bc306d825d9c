/** Says what a build machine lacks: `node verdict.ts <definition> <directory>`. */

import type { Definition } from "../../../infra/definitions/definition.ts";
import { requireBuildMachine } from "../../../infra/image/build/preconditions.ts";

const [definition = "", directory = ""] = process.argv.slice(2);
const verdict = await requireBuildMachine(
  JSON.parse(definition) as Definition,
  directory,
).then(
  () => "fine",
  (error: Error) => `${error.name}: ${error.message}`,
);
process.stdout.write(verdict);
