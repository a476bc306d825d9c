/** Our build, from asking the archive for its state to the finished disk. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import type { Definition } from "../../infra/definitions/definition.ts";
import { imageKey } from "../../infra/definitions/key.ts";
import {
  archiveName,
  archiveStates,
  mirrorOfHost,
} from "../../infra/image/archive.ts";
import { buildImage } from "../../infra/image/build/build.ts";
import { requireBuildMachine } from "../../infra/image/build/preconditions.ts";
import { builderVersion } from "../../infra/image/builderVersion.ts";
import { answer } from "./answer.ts";

/** All paths are absolute. */
export interface BuildImageRequest {
  readonly definition: Definition;
  readonly configSpace: string;
  /** Release files, base systems and packages; made when it does not exist. */
  readonly cacheDirectory: string;
  /** Gets `disk.raw`; made when it does not exist. */
  readonly outputDirectory: string;
  readonly logPath: string;
}

export interface BuildImageResult {
  readonly phaseSeconds: Readonly<Record<string, number>>;
}

await answer(async (request: BuildImageRequest): Promise<BuildImageResult> => {
  const { cacheDirectory, configSpace, definition } = request;
  const { logPath, outputDirectory } = request;
  await mkdir(outputDirectory, { recursive: true });
  await requireBuildMachine(definition, outputDirectory);
  const mirror = await mirrorOfHost();
  const states = await archiveStates(
    [definition],
    () => mirror,
    cacheDirectory,
  );
  const archive = states.get(archiveName(definition));
  if (archive === undefined) throw new Error("The archive has no state.");
  const files = await readConfigSpace(configSpace);
  const key = imageKey({
    definition,
    archive,
    configSpace: filesOfDefinition(files, definition),
    builder: await builderVersion(),
  });
  const { phaseSeconds } = await buildImage(
    {
      definition,
      key,
      archive,
      configSpace,
      outputDirectory,
      cacheDirectory: join(cacheDirectory, "build"),
    },
    logPath,
    () => {},
  );
  return { phaseSeconds };
});
