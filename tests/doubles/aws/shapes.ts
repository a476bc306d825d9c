/** The declarations of the installed @pulumi/aws. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectPath } from "../../../infra/projectPaths.ts";
import { DeclaredShapes } from "../shapes.ts";

const directory = projectPath("node_modules/@pulumi/aws");

export const shapes = new DeclaredShapes(directory);

/** The version that the engine asks for. */
export const packageVersion: string = (
  JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
    version: string;
  }
).version;
