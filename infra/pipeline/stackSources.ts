/** What a checkout says of a stack's images: their keys without the archive's state, so without a network. */

import { z } from "zod";
import { chooseDefinitions } from "../config.ts";
import { configSpaceDirectory, mirrors } from "../currentKeys.ts";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../definitions/configSpace.ts";
import type { ImageKey } from "../definitions/definition.ts";
import { imageKey, type KeyParts } from "../definitions/key.ts";
import { loadImages } from "../definitions/load.ts";
import { builderVersion } from "../image/builderVersion.ts";
import { projectPath } from "../projectPaths.ts";
import { readStackConfig } from "../stackFile.ts";
import { definitionNameSchema, imageKeySchema } from "../store/records.ts";

/** An image of a stack by its sources. */
export interface SourceImage {
  /** Everything that decides it but the state of the archive's suites, which are none here. */
  readonly parts: KeyParts;
  /** The key of those parts by the code of their own checkout. */
  readonly key: ImageKey;
}

/** What is said of an archive that the stack leaves to whatever machine builds. */
const machinesOwn = "this machine's own archive";

/**
 * The images of a stack, by this checkout's sources.
 *
 * @throws {UserError} for sources or a configuration that are wrong.
 */
export async function stackSources(
  stack: string,
): Promise<readonly SourceImage[]> {
  const config = await readStackConfig(stack);
  const all = await loadImages(projectPath("image-definitions"), config.type);
  const definitions = chooseDefinitions(stack, config, all);
  const files = await readConfigSpace(projectPath(configSpaceDirectory));
  const builder = await builderVersion();
  const mirrorOf = await mirrors(definitions, {
    archive: config.archive ?? { debian: machinesOwn, security: machinesOwn },
    snapshots: config.snapshots,
  });
  return definitions.map((definition) => {
    const parts: KeyParts = {
      definition,
      configSpace: filesOfDefinition(files, definition),
      archive: { suites: {}, mirror: mirrorOf(definition) },
      builder,
    };
    return { parts, key: imageKey(parts) };
  });
}

/** As far as another checkout's answer has to be what is expected here. */
const sourcesSchema = z.array(
  z.object({
    key: imageKeySchema,
    parts: z.looseObject({
      definition: z.looseObject({ name: definitionNameSchema }),
      configSpace: z.array(
        z.object({
          path: z.string(),
          executable: z.boolean(),
          sha256: z.string(),
        }),
      ),
      archive: z.looseObject({
        suites: z.record(z.string(), z.string()),
        mirror: z.record(z.string(), z.string()),
      }),
      builder: z.string(),
    }),
  }),
);

/**
 * Reads what {@link stackSources} of another checkout gave, as JSON.
 *
 * @throws {Error} for a text that is something else.
 */
export function parseSources(text: string): readonly SourceImage[] {
  return sourcesSchema.parse(
    JSON.parse(text),
  ) as unknown as readonly SourceImage[];
}
