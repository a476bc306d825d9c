/** `scripts/ci build`: one image, as a job of a pipeline makes it. */

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import type { StackConfig } from "../../../infra/config.ts";
import type { ExpandedImage } from "../../../infra/definitions/expand.ts";
import { loadImages } from "../../../infra/definitions/load.ts";
import { StoreError, UserError } from "../../../infra/errors.ts";
import { jobsDirectory } from "../../../infra/pipeline/childPipeline.ts";
import { imageFailed, storeFailed } from "../../../infra/pipeline/exitCodes.ts";
import {
  isGood,
  reportXml,
  summaryText,
} from "../../../infra/pipeline/imageReport.ts";
import {
  type MadeImage,
  makeImage,
} from "../../../infra/pipeline/makeImage.ts";
import { requireWritableStore } from "../../../infra/pipeline/writableStore.ts";
import { projectDirectory, projectPath } from "../../../infra/projectPaths.ts";
import { readStackConfig } from "../../../infra/stackFile.ts";
import { removeForsakenBuilds } from "../../../infra/store/documents.ts";
import { openStore, storeAddress } from "../../../infra/store/openStore.ts";

export const usage = `scripts/ci build IMAGE [--stack STACK] [--into DIRECTORY] [--in-store] [--anew]

Builds IMAGE as STACK (default: local) would, makes the formats that the stack's platforms need, and checks that it boots.
Nothing is published. The image is made into a store below DIRECTORY (default: ${jobsDirectory}/IMAGE), or with --in-store
into that of the stack, as far as it is not there; --anew builds though there is an image with the same packages.

DIRECTORY/report has result.json, junit.xml, the record of the build (build.json) and the logs. The exit code is ${imageFailed} when
the image failed, ${storeFailed} when the store cannot be read or written, and 1 for everything else.`;

/** How long a build that no stack took stays in the store, in days: long enough for an update that had to be mended. */
const forsakenAfterDays = 7;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      stack: { type: "string", default: "local" },
      into: { type: "string" },
      "in-store": { type: "boolean", default: false },
      anew: { type: "boolean", default: false },
    },
  });
  const [name = "", ...others] = positionals;
  if (name === "" || others.length > 0) {
    throw new UserError(
      "scripts/ci build: name one image. Run scripts/ci build --help.",
    );
  }
  const { stack, anew } = values;
  const inStore = values["in-store"];
  const target = await readStackConfig(stack);
  const image = await imageOf(name, stack, target);
  const into = projectPath(values.into ?? join(jobsDirectory, name));
  const below = (part: string) =>
    relative(projectDirectory, join(into, part)) || ".";
  await rm(join(into, "report"), { recursive: true, force: true });
  await mkdir(join(into, "report"), { recursive: true });
  const config: StackConfig = inStore
    ? target
    : { ...target, store: { directory: below("store") } };
  try {
    const store = openStore(storeAddress(config.store));
    await requireWritableStore(store);
    const made = await makeImage({
      ...{ stack, image, config, anew },
      workplace: {
        cache: ".cache/build",
        logs: below("report/logs"),
        work: below("work"),
      },
    });
    await writeReport(join(into, "report"), made);
    if (inStore) {
      const before = new Date(Date.now() - forsakenAfterDays * 86_400_000);
      await removeForsakenBuilds(store, image.definition.name, before);
    }
    console.log(summaryText([{ definition: name, report: made.report }]));
    return isGood(made.report) ? 0 : imageFailed;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    console.error(error.message);
    return storeFailed;
  } finally {
    await rm(join(into, "work"), { recursive: true, force: true });
  }
}

async function imageOf(
  name: string,
  stack: string,
  { type }: StackConfig,
): Promise<ExpandedImage> {
  const images = await loadImages(projectPath("image-definitions"), type);
  const image = images.find(({ definition }) => definition.name === name);
  if (image?.types.includes(type)) return image;
  throw new UserError(
    image === undefined
      ? `image-definitions describes no ${JSON.stringify(name)}. scripts/images list names all that it does.`
      : `${name} may be ${image.types.join(" or ")}, and the stack ${stack} has images of type ${type}.`,
  );
}

async function writeReport(
  directory: string,
  { report, build }: MadeImage,
): Promise<void> {
  const write = (name: string, text: string) =>
    writeFile(join(directory, name), text);
  const asJson = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;
  await write("result.json", asJson(report));
  await write("junit.xml", reportXml(report, new Date()));
  if (build !== undefined) await write("build.json", asJson(build));
}
