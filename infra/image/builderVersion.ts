/** The builder's own version: a digest over the sources that decide what an image's bytes are. */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** sha256, in hex, over the files of `infra/image/build/`, comments included: cheap to be wrong on that side. */
export async function builderVersion(): Promise<string> {
  const directory = fileURLToPath(new URL("build/", import.meta.url));
  const hash = createHash("sha256");
  for (const name of (await readdir(directory)).sort()) {
    hash.update(`${name}\n`).update(await readFile(`${directory}${name}`));
  }
  return hash.digest("hex");
}
