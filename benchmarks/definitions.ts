/** The project's own definitions, for benchmarks that need one of them. */

import { join } from "node:path";
import type { Definition } from "../infra/definitions/definition.ts";
import { loadDefinitions } from "../infra/definitions/load.ts";
import { projectPath } from "../infra/projectPaths.ts";

const directory = projectPath("image-definitions");

/** The project's FAI config space. */
export const configSpace = join(directory, "fai");

/** The definition of a name. */
export async function definitionOf(name: string): Promise<Definition> {
  const all = await loadDefinitions(directory);
  const found = all.find((definition) => definition.name === name);
  if (found === undefined) {
    throw new Error(`image-definitions no longer describes ${name}.`);
  }
  return found;
}
