/** Our builds, from asking the archive for its state to the finished disks, as many at once as `pulumi up` does. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import type { Definition } from "../../infra/definitions/definition.ts";
import { imageKey } from "../../infra/definitions/key.ts";
import {
  type ArchiveState,
  archiveName,
  archiveStates,
  mirrorOfHost,
} from "../../infra/image/archive.ts";
import { buildImage } from "../../infra/image/build/build.ts";
import { requireBuildMachine } from "../../infra/image/build/preconditions.ts";
import { builderVersion } from "../../infra/image/builderVersion.ts";
import { type Turn, withCapacity } from "../../infra/image/capacity.ts";
import { answer } from "./answer.ts";

/** All paths are absolute. */
export interface BuildImagesRequest {
  readonly definitions: readonly Definition[];
  readonly configSpace: string;
  /** Release files, base systems and packages; made when it does not exist. */
  readonly cacheDirectory: string;
  /** Gets a directory with `disk.raw` for each image; made when it does not exist. */
  readonly outputDirectory: string;
  /** Where the log of an image's build goes: this, its name, `.log`. */
  readonly logPrefix: string;
}

/** Seconds of each phase, by the names of images. */
export type BuildImagesResult = Readonly<
  Record<string, Readonly<Record<string, number>>>
>;

await answer(async (request: BuildImagesRequest) => {
  const { cacheDirectory, definitions } = request;
  const mirror = await mirrorOfHost();
  const states = await archiveStates(definitions, () => mirror, cacheDirectory);
  const builds = definitions.map((definition) =>
    withCapacity(definition.name, definition.build.memoryMiB, async (turn) => {
      const archive = states.get(archiveName(definition));
      if (archive === undefined) throw new Error("The archive has no state.");
      const seconds = await build(request, definition, archive, turn);
      return [definition.name, seconds] as const;
    }),
  );
  return Object.fromEntries(await Promise.all(builds)) as BuildImagesResult;
});

async function build(
  { cacheDirectory, configSpace, logPrefix, ...request }: BuildImagesRequest,
  definition: Definition,
  archive: ArchiveState,
  turn: Turn,
): Promise<Readonly<Record<string, number>>> {
  const outputDirectory = join(request.outputDirectory, definition.name);
  await mkdir(outputDirectory, { recursive: true });
  await requireBuildMachine(definition, outputDirectory);
  const files = await readConfigSpace(configSpace);
  const builder = await builderVersion();
  const key = imageKey({
    definition,
    archive,
    configSpace: filesOfDefinition(files, definition),
    builder,
  });
  const { phaseSeconds } = await buildImage(
    {
      definition,
      key,
      archive,
      configSpace,
      builder,
      outputDirectory,
      cacheDirectory: join(cacheDirectory, "build"),
    },
    `${logPrefix}${definition.name}.log`,
    () => {},
    { turn },
  );
  return phaseSeconds;
}
