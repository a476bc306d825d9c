/** The program behind scripts/images. */

import { parseArgs } from "node:util";
import type { ExpandedImage } from "../../infra/definitions/expand.ts";
import { imageDetails, imageTable } from "../../infra/definitions/listing.ts";
import { loadImages } from "../../infra/definitions/load.ts";
import { UserError } from "../../infra/errors.ts";
import { projectPath } from "../../infra/projectPaths.ts";

try {
  console.log(await answer(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function answer(args: string[]): Promise<string> {
  const { words, json } = readArguments(args);
  const [command, name] = words;
  const images = await loadImages(projectPath("image-definitions"));
  if (command === "list" && words.length === 1) {
    const definitions = images.map(({ definition }) => definition);
    return json ? asJson(definitions) : imageTable(definitions);
  }
  if (command === "show" && name !== undefined && words.length === 2) {
    const image = imageOfName(images, name);
    const { definition, places } = image;
    return json
      ? asJson({ definition, places: Object.fromEntries(places) })
      : imageDetails(image);
  }
  throw usageError(`"${words.join(" ")}" is none of its commands.`);
}

function readArguments(args: string[]) {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: "boolean", default: false } },
    });
    return { words: positionals, json: values.json };
  } catch (error) {
    throw usageError((error as Error).message);
  }
}

function usageError(problem: string): UserError {
  return new UserError(`scripts/images: ${problem} Run scripts/images --help.`);
}

function imageOfName(
  images: readonly ExpandedImage[],
  name: string,
): ExpandedImage {
  const image = images.find(({ definition }) => definition.name === name);
  if (image === undefined) {
    throw new UserError(
      `image-definitions describes no ${JSON.stringify(name)}. scripts/images list names all that it does.`,
    );
  }
  return image;
}

function asJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}
