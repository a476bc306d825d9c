/** Where the checkout is, for code that runs in the program as well as in a provider. */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root. */
export const projectDirectory = fileURLToPath(new URL("..", import.meta.url));

/** A path of the stack's configuration: relative ones count from the repository's root. */
export function projectPath(path: string): string {
  return resolve(projectDirectory, path);
}
