/** All that is known of images before one is built: their list, and the key of each. */

import { join } from "node:path";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import { imageKey } from "../../infra/definitions/key.ts";
import { imageTable } from "../../infra/definitions/listing.ts";
import { loadImages } from "../../infra/definitions/load.ts";
import { builderVersion } from "../../infra/image/builderVersion.ts";
import { answer } from "./answer.ts";

export interface KeyDefinitionsRequest {
  /** Absolute path of a directory such as `image-definitions`. */
  readonly definitions: string;
}

export interface KeyDefinitionsResult {
  readonly images: number;
  /** How many of them have a key that no other one has. */
  readonly keys: number;
  readonly workSeconds: number;
}

/** The archive's state takes part in a key, but not in the work. */
const archive = {
  suites: { trixie: "0".repeat(64) },
  mirror: {
    debian: "http://archive.example/debian",
    security: "http://archive.example/debian-security",
  },
};

await answer(
  async ({
    definitions,
  }: KeyDefinitionsRequest): Promise<KeyDefinitionsResult> => {
    const started = performance.now();
    const images = await loadImages(definitions);
    const table = imageTable(images);
    const configSpace = await readConfigSpace(join(definitions, "fai"));
    const builder = await builderVersion();
    const keys = images.map(({ definition }) =>
      imageKey({
        definition,
        archive,
        configSpace: filesOfDefinition(configSpace, definition),
        builder,
      }),
    );
    return {
      images: table.split("\n").length - 1,
      keys: new Set(keys).size,
      workSeconds: Math.round(performance.now() - started) / 1000,
    };
  },
);
