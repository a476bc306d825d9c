/** Reads the files of `image-definitions/`. */

import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { isNode, LineCounter, parseDocument } from "yaml";
import { UserError } from "../errors.ts";
import type { Definition, ImageType } from "./definition.ts";
import {
  type ExpandedImage,
  expandDefinitions,
  type LoadedFile,
} from "./expand.ts";
import { describeIssue } from "./issues.ts";
import { definitionFile } from "./schema.ts";

/**
 * All images that a directory of definitions describes, of whatever types they are.
 *
 * @throws {UserError} naming file, line and field of whatever is wrong.
 */
export async function loadDefinitions(
  directory: string,
): Promise<readonly Definition[]> {
  return (await loadImages(directory)).map(({ definition }) => definition);
}

/**
 * All images that a directory of definitions describes, each with where its fields were said.
 *
 * @param type the type whose classes the images get; those of none when left out
 * @throws {UserError} naming file, line and field of whatever is wrong.
 */
export async function loadImages(
  directory: string,
  type?: ImageType,
): Promise<readonly ExpandedImage[]> {
  const names = (await readdir(directory))
    .filter((name) => /\.ya?ml$/.test(name))
    .sort();
  if (names.length === 0) {
    throw new UserError(`${directory} has no .yaml file that defines images.`);
  }
  const files = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(directory, name), "utf8");
      return parseDefinitionFile(join(basename(directory), name), text);
    }),
  );
  return expandDefinitions(files, type);
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
  const parsed = definitionFile.safeParse(contentOf(document) ?? {});
  const placeOf = (steps: readonly PropertyKey[]) => `${path}:${lineOf(steps)}`;
  if (parsed.success) return { content: parsed.data, placeOf };
  const problems = parsed.error.issues.map(
    (issue) => `${placeOf(issue.path)}: ${describeIssue(issue)}`,
  );
  throw new UserError(
    `${problems.join("\n")}\nimage-definitions/schema.json describes every field.`,
  );

  function contentOf(parsed: typeof document): unknown {
    try {
      return parsed.toJS();
    } catch (error) {
      // The parser's own limit on what aliases may add up to.
      throw new UserError(
        `${path}: ${(error as Error).message}. Write out what the aliases stand for.`,
      );
    }
  }

  function lineOf(place: readonly PropertyKey[]): number {
    for (let length = place.length; length >= 0; length--) {
      const node = document.getIn(place.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  }
}
