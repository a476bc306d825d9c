/** `scripts/ci preview`: what bringing a stack up would do, as a document and as the text of a note. */

import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "../../../infra/errors.ts";
import { pipelineOf } from "../../../infra/pipeline/ciVariables.ts";
import { noteText } from "../../../infra/pipeline/noteText.ts";
import { preparePreview } from "../../../infra/pipeline/preparePreview.ts";
import {
  documentText,
  noteFileName,
  previewFileName,
} from "../../../infra/pipeline/previewDocument.ts";

export const usage = `scripts/ci preview --stack STACK [--into DIRECTORY] [--builds DIRECTORY]

Previews STACK, read-only, and writes ${previewFileName} and ${noteFileName} into DIRECTORY (default: preview). Where the state of
STACK or its passphrase is not at hand, it previews the same images against an empty state, and says so. --builds names artifacts of
builds, whose packages are compared with those of the builds before. The exit code is 1 when the preview shows an error.`;

/** @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      stack: { type: "string" },
      into: { type: "string", default: "preview" },
      builds: { type: "string" },
    },
  });
  const { stack, into, builds } = values;
  if (stack === undefined) {
    throw new UserError(
      "scripts/ci preview: --stack is missing. Run scripts/ci preview --help.",
    );
  }
  const document = await preparePreview(stack, builds, process.env);
  const directory = resolve(into);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, previewFileName), documentText(document));
  const note = noteText(document, pipelineOf(process.env));
  await writeFile(join(directory, noteFileName), note);
  const [heading = ""] = /^### .*$/m.exec(note) ?? [];
  console.log(`${heading.replace(/^### /, "")}\n${join(into, noteFileName)}`);
  for (const { severity, text } of document.problems) {
    if (severity === "error") console.error(text);
  }
  return document.isComplete ? 0 : 1;
}
