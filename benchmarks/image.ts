/** A real image, for benchmarks that need one and do not care how it was made. */

import { rename } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Definition } from "../infra/definitions/definition.ts";
import { UserError } from "../infra/errors.ts";
import { projectPath } from "../infra/projectPaths.ts";
import { sha256OfFile } from "../infra/store/digest.ts";
import { listKeys, readBuild } from "../infra/store/documents.ts";
import { openStore } from "../infra/store/openStore.ts";
import type { Sha256 } from "../infra/store/store.ts";
import { type Context, measureSide } from "./benchmark.ts";
import { configSpace, definitionOf } from "./definitions.ts";
import { isMeasured } from "./results.ts";
import type {
  BuildImagesRequest,
  BuildImagesResult,
} from "./sides/buildImages.ts";

/** Which image it is. */
export const imageName = "debian-13-genericcloud-amd64";

/** An image on the run's own disk, read just before: neither side reads it from a cold disk. */
export interface Image {
  readonly rawPath: string;
  readonly rawSha256: Sha256;
  readonly definition: Definition;
}

/** The newest image in the store of the stack `local`; built when there is none. */
export async function provideImage(context: Context): Promise<Image> {
  const definition = await definitionOf(imageName);
  const rawPath = join(context.directory, "image.raw");
  const stored = await newestInStore();
  if (stored === undefined) {
    await buildTo(rawPath, context, definition);
  } else {
    await execa("cp", ["--sparse=always", stored, rawPath]);
    await execa("chmod", ["u+w", rawPath]);
  }
  const { sha256 } = await sha256OfFile(rawPath);
  return { rawPath, rawSha256: sha256, definition };
}

/** The newest build of the image in the store of the stack `local`, if it has one. */
async function newestInStore(): Promise<string | undefined> {
  const store = openStore("store");
  const builds = await Promise.all(
    (await listKeys(store)).map((key) => readBuild(store, key)),
  );
  const newest = builds
    .filter((build) => build?.definition.name === imageName)
    .toSorted((a, b) => ((a?.builtAt ?? "") < (b?.builtAt ?? "") ? 1 : -1))[0];
  if (newest === undefined) return undefined;
  return store.file(newest.raw.sha256).catch(() => undefined);
}

async function buildTo(
  rawPath: string,
  context: Context,
  definition: Definition,
): Promise<void> {
  const outputDirectory = join(context.directory, "built");
  const request: BuildImagesRequest = {
    definitions: [definition],
    configSpace,
    cacheDirectory: projectPath(".cache"),
    outputDirectory,
    logPrefix: join(context.logs, "image-"),
  };
  const { side } = await measureSide<BuildImagesResult>(
    context,
    "image",
    new URL("sides/buildImages.ts", import.meta.url),
    request,
  );
  if (!isMeasured(side)) {
    throw new UserError(
      `There is no image to measure with: ${"skipped" in side ? side.skipped : side.failed}`,
    );
  }
  await rename(join(outputDirectory, definition.name, "disk.raw"), rawPath);
}
