/** The root file system that FAI starts from: its layers, out of the cache as far as they are there. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { readConfigSpace } from "../../definitions/configSpace.ts";
import { holdLock } from "../../store/directoryLock.ts";
import type { Turn } from "../capacity.ts";
import { isKept, keepLayer, unpackLayer } from "./layerCache.ts";
import { layersOf } from "./layers.ts";
import { forgetUnused } from "./packageCache.ts";
import type { BuildRequest } from "./request.ts";
import type { Workspace } from "./workspace.ts";

/** Makes a layer of what the target directory holds already; given no classes, of nothing. */
type LayerMaker = (classes: readonly string[]) => Promise<void>;

/**
 * Puts an image's layers into the target directory. Those that are missing are made, and kept for other builds; who
 * needs the same meanwhile waits for them, and passes its turn.
 */
export async function provideRootFileSystem(
  request: BuildRequest,
  { archives, cache, configSource, target }: Workspace,
  make: LayerMaker,
  turn: Turn,
): Promise<void> {
  const { archive, builder, definition } = request;
  const directory = join(cache, "layers");
  await mkdir(directory, { recursive: true });
  const layers = layersOf(
    definition,
    archive,
    await readConfigSpace(configSource),
    builder,
  );
  await forgetUnused(directory, (file) =>
    layers.some(({ name }) => file.startsWith(name)),
  );
  let height = await takeHighest(0);
  for (;;) {
    const next = layers[height];
    if (next === undefined) return;
    const { classes, name } = next;
    let hasTurn = true;
    height = await holdLock(
      `layer ${name}`,
      join(cache, "layer-locks", name),
      definition.build.timeoutSeconds,
      async () => {
        if (!hasTurn) await turn.regain();
        const taken = await takeHighest(height);
        if (taken !== height) return taken;
        await make(classes);
        await keepLayer(directory, name, target, join(archives, name));
        return height + 1;
      },
      () => {
        turn.pass();
        hasTurn = false;
      },
    );
  }

  /**
   * Takes the highest layer that is kept, if it is higher than what the target holds.
   *
   * @returns how many layers the target holds then
   */
  async function takeHighest(held: number): Promise<number> {
    for (let height = layers.length; height > held; height--) {
      const name = layers[height - 1]?.name ?? "";
      if (!(await isKept(directory, name))) continue;
      if (await unpackLayer(directory, name, target)) return height;
      // One that is no good left the target empty.
      held = 0;
    }
    return held;
  }
}
