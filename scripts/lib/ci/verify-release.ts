/** `scripts/ci verify-release`: whether the store still has what is to be released. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chooseDefinitions } from "../../../infra/config.ts";
import { loadImages } from "../../../infra/definitions/load.ts";
import { StoreError, UserError } from "../../../infra/errors.ts";
import { jobsDirectory } from "../../../infra/pipeline/childPipeline.ts";
import { imageFailed, storeFailed } from "../../../infra/pipeline/exitCodes.ts";
import {
  type ImageReport,
  isGood,
  type Outcome,
  reportXml,
  summaryText,
} from "../../../infra/pipeline/imageReport.ts";
import {
  type ImageRequest,
  makeImage,
} from "../../../infra/pipeline/makeImage.ts";
import { parseReleaseKeys } from "../../../infra/pipeline/releaseKeys.ts";
import { requireWritableStore } from "../../../infra/pipeline/writableStore.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { readStackConfig } from "../../../infra/stackFile.ts";
import { openStore, storeAddress } from "../../../infra/store/openStore.ts";

export const usage = `scripts/ci verify-release --stack STACK --keys KEYS

Looks for the builds KEYS (with commas between them) in the store of STACK: their images, the formats that STACK needs and
their boot checks. An image that is gone from the store, or altered, is built again by its key, where the sources are still
those that it was made from. Nothing is published. The exit code is ${imageFailed} when an image failed, ${storeFailed} when the store cannot be reached.`;

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { stack: { type: "string" }, keys: { type: "string" } },
  });
  const { stack } = values;
  if (stack === undefined || values.keys === undefined) {
    throw new UserError(
      "scripts/ci verify-release: --stack or --keys is missing. Run scripts/ci verify-release --help.",
    );
  }
  const keys = parseReleaseKeys(values.keys);
  const config = { ...(await readStackConfig(stack)), keys: [...keys] };
  const images = await loadImages(
    projectPath("image-definitions"),
    config.type,
  );
  const chosen = chooseDefinitions(stack, config, images);
  try {
    const store = openStore(storeAddress(config.store));
    await requireWritableStore(store);
    const outcomes: Outcome[] = [];
    const problems: string[] = [];
    for (const image of images) {
      const { name } = image.definition;
      if (!chosen.includes(image.definition)) continue;
      try {
        const report = await verify({ stack, image, config });
        outcomes.push({ definition: name, report });
      } catch (error) {
        // What this machine cannot build keeps nothing from being said of the others.
        if (!(error instanceof UserError)) throw error;
        outcomes.push({ definition: name, report: undefined });
        problems.push(`${name}: ${error.message}`);
      }
    }
    console.log([summaryText(outcomes), ...problems].join("\n\n"));
    const isAllGood = outcomes.every(
      ({ report }) => report !== undefined && isGood(report),
    );
    return isAllGood ? 0 : imageFailed;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    console.error(error.message);
    return storeFailed;
  }
}

async function verify(
  request: Pick<ImageRequest, "stack" | "image" | "config">,
): Promise<ImageReport> {
  const { name } = request.image.definition;
  const into = join(jobsDirectory, name);
  const { report } = await makeImage({
    ...request,
    anew: false,
    workplace: {
      cache: ".cache/build",
      logs: join(into, "report/logs"),
      work: join(into, "work"),
    },
  });
  if (report.isRebuilt) {
    console.log(
      `${name} ${report.version} had expired: the store did not have its image any more. It was built again by its key.`,
    );
  }
  const directory = projectPath(join(into, "report"));
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "junit.xml"), reportXml(report, new Date()));
  return report;
}
