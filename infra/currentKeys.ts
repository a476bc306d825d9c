/** The key that each definition has now, by its sources and the state of the archive. */

import {
  filesOfDefinition,
  readConfigSpace,
} from "./definitions/configSpace.ts";
import type { Definition, ImageKey } from "./definitions/definition.ts";
import { imageKey, type KeyParts } from "./definitions/key.ts";
import {
  type ArchiveState,
  archiveName,
  archiveStates,
  mirrorOfHost,
} from "./image/archive.ts";
import type { Mirror } from "./image/build/aptSources.ts";
import { builderVersion } from "./image/builderVersion.ts";
import { projectPath } from "./projectPaths.ts";

/** A definition with its key. */
export interface CurrentKey {
  readonly definition: Definition;
  readonly key: ImageKey;
  readonly parts: KeyParts;
  readonly archive: ArchiveState;
}

/**
 * Finds the present keys of definitions, in their order.
 *
 * @param mirror the archive to ask; `undefined` for this machine's own
 * @throws {UserError} for a class without files, and an archive that cannot be read.
 */
export async function currentKeys(
  definitions: readonly Definition[],
  mirror: Mirror | undefined,
): Promise<readonly CurrentKey[]> {
  const configSpace = await readConfigSpace(
    projectPath("image-definitions/fai"),
  );
  const files = definitions.map((definition) =>
    filesOfDefinition(configSpace, definition),
  );
  const states = await archiveStates(
    definitions,
    mirror ?? (await mirrorOfHost()),
    projectPath(".cache"),
  );
  const builder = await builderVersion();
  return definitions.map((definition, index) => {
    const archive = states.get(archiveName(definition)) as ArchiveState;
    const parts = {
      definition,
      archive,
      configSpace: files[index] ?? [],
      builder,
    };
    return { definition, archive, parts, key: imageKey(parts) };
  });
}
