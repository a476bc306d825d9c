/** Reads the files of `image-definitions/`. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isNode, LineCounter, parseDocument } from "yaml";
import { UserError } from "../errors.ts";
import type { Definition } from "./definition.ts";
import { expandDefinitions, type LoadedFile } from "./expand.ts";
import { describeIssue } from "./issues.ts";
import { definitionFile } from "./schema.ts";

/**
 * All images that a directory of definitions describes.
 *
 * @throws {UserError} naming file, line and field of whatever is wrong.
 */
export async function loadDefinitions(
  directory: string,
): Promise<readonly Definition[]> {
  const names = (await readdir(directory))
    .filter((name) => /\.ya?ml$/.test(name))
    .sort();
  if (names.length === 0) {
    throw new UserError(`${directory} has no .yaml file that defines images.`);
  }
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      return parseDefinitionFile(path, await readFile(path, "utf8"));
    }),
  );
  return expandDefinitions(files);
}

/**
 * Parses and checks one file.
 *
 * @param path for messages
 * @throws {UserError} with one line for each thing that is wrong.
 */
export function parseDefinitionFile(path: string, text: string): LoadedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    throw new UserError(
      document.errors.map(({ message }) => `${path}: ${message}`).join("\n"),
    );
  }
  const parsed = definitionFile.safeParse(document.toJS() ?? {});
  if (parsed.success) return { path, content: parsed.data };
  const problems = parsed.error.issues.map(
    (issue) => `${path}:${lineOf(issue.path)}: ${describeIssue(issue)}`,
  );
  throw new UserError(
    `${problems.join("\n")}\nimage-definitions/schema.json describes every field.`,
  );

  function lineOf(place: readonly PropertyKey[]): number {
    for (let length = place.length; length >= 0; length--) {
      const node = document.getIn(place.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  }
}
