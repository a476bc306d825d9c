/** What stands behind {@link FaiImage}: builds into the store, once for each key. */

import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../definitions/configSpace.ts";
import type {
  Definition,
  ImageKey,
  ImageVersion,
} from "../definitions/definition.ts";
import { imageKey, type KeySources, shortKey } from "../definitions/key.ts";
import type { Difference, Implementation } from "../dynamic/provider.ts";
import { BuildError, UserError } from "../errors.ts";
import { projectPath } from "../projectPaths.ts";
import { forgetStackWithoutBuilds, removeFailure } from "../store/attempts.ts";
import {
  buildLogName,
  holdBuild,
  listBuilds,
  readBuild,
  releaseBuild,
  writeBuild,
} from "../store/documents.ts";
import { openStore, storeDifference } from "../store/openStore.ts";
import type { BuildRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { ArchiveState } from "./archive.ts";
import { outcomeOf, tryStep } from "./attempt.ts";
import { buildImage } from "./build/build.ts";
import { requireBuildMachine } from "./build/preconditions.ts";
import { builderVersion } from "./builderVersion.ts";
import { type Turn, withCapacity } from "./capacity.ts";
import { progressReporter } from "./progress.ts";
import { freeVersion } from "./version.ts";

/** What decides an image, and where it goes. Paths count from the repository's root. */
export interface FaiImageInputs {
  /** `organization/project/stack` that declares the image. */
  readonly stack: string;
  readonly key: ImageKey;
  readonly definition: Definition;
  readonly archive: ArchiveState;
  /** The config space. */
  readonly configSpace: string;
  /** The store's address. */
  readonly store: string;
  /** Directory for base systems and packages, shared by all builds. */
  readonly cache: string;
  /** Directory for the logs of builds that failed. */
  readonly logs: string;
}

/** What is known of a built image; of one that failed and was allowed to, only why. */
export interface FaiImageOutputs extends FaiImageInputs {
  readonly version?: ImageVersion;
  readonly rawSha256?: string;
  readonly problems: readonly string[];
  /** Why there is no image; absent in states of old. */
  readonly failures?: readonly string[];
}

/** Builds of this process share the minute of their version, so that one `up` gives one version. */
const started = new Date();

/** How long one `up` waits for another stack's build of the same key. */
const lockPatienceSeconds = 3600;

export const implementation: Implementation<FaiImageInputs, FaiImageOutputs> = {
  async create(inputs) {
    const outputs = await provideOrFail(inputs);
    return { id: `${inputs.definition.name}/${inputs.key}`, outputs };
  },

  async read(_id, outputs) {
    const store = openStore(outputs.store);
    const build = await readBuild(store, outputs.key);
    if (build === undefined) return undefined;
    const state = await store.examine(build.raw.sha256);
    const problems =
      state === "sound" ? [] : [`the raw image in the store is ${state}`];
    return { ...outputs, problems };
  },

  diff(outputs, inputs): Difference {
    const store = storeDifference(outputs.store, inputs.store);
    const changed = (["key", "stack"] as const).filter(
      (name) => outputs[name] !== inputs[name],
    );
    const replaces = [...changed, ...store.replaces];
    const updates = [
      ...store.updates,
      ...(outputs.problems.length > 0 ? ["problems"] : []),
      ...(outputs.failures?.length ? ["failures"] : []),
    ];
    return { replaces, updates };
  },

  update(_id, _outputs, inputs) {
    return provideOrFail(inputs);
  },

  async delete(_id, { store: place, key, stack }) {
    const store = openStore(place);
    await releaseBuild(store, key, stack);
    await forgetStackWithoutBuilds(store, stack);
  },
};

async function provideOrFail(inputs: FaiImageInputs): Promise<FaiImageOutputs> {
  const outcome = await outcomeOf(inputs.definition, () => provide(inputs));
  return { ...inputs, problems: [], failures: [], ...outcome };
}

/** Finds the build of a key in the store, or makes it. */
async function provide(
  inputs: FaiImageInputs,
): Promise<Pick<Required<FaiImageOutputs>, "version" | "rawSha256">> {
  const { key, stack } = inputs;
  const store = openStore(inputs.store);
  const record = await store.withLock(
    `build-${key}`,
    lockPatienceSeconds,
    async () => {
      const known = await holdBuild(store, key, stack);
      const isSound =
        known !== undefined &&
        (await store.examine(known.raw.sha256)) === "sound";
      if (isSound) {
        // Another runner may have had more luck.
        await removeFailure(store, { key, step: "build" });
        return known;
      }
      const built = await build(inputs, store, known);
      await holdBuild(store, key, stack);
      return built;
    },
  );
  return { version: record.version, rawSha256: record.raw.sha256 };
}

/** Builds, whatever the store has. `known` is the record of a build whose image was lost. */
async function build(
  inputs: FaiImageInputs,
  store: Store,
  known: BuildRecord | undefined,
): Promise<BuildRecord> {
  const { archive, definition, key, stack } = inputs;
  const sources = await requireSameSources(inputs);
  await mkdir(projectPath(inputs.logs), { recursive: true });
  const label = `${definition.name} ${shortKey(key)}`;
  const log = join(
    projectPath(inputs.logs),
    `${definition.name}-${shortKey(key)}.log`,
  );
  const attempt = { definition, key, step: "build", stack, log } as const;
  const { memoryMiB } = definition.build;
  return tryStep(store, attempt, () =>
    withCapacity(`The build of ${label}`, memoryMiB, (turn) =>
      store.withIncoming((directory) => makeBuild(directory, turn)),
    ),
  );

  async function makeBuild(
    outputDirectory: string,
    turn: Turn,
  ): Promise<BuildRecord> {
    await requireBuildMachine(definition, outputDirectory);
    const { packages, phaseSeconds, tools } = await buildImage(
      {
        definition,
        key,
        archive,
        configSpace: projectPath(inputs.configSpace),
        builder: sources.builder,
        outputDirectory,
        cacheDirectory: projectPath(inputs.cache),
      },
      log,
      progressReporter(label),
      { turn },
    );
    const raw = await store.adopt(join(outputDirectory, "disk.raw"));
    await store.write(buildLogName(key), await readFile(log));
    const version = known?.version ?? (await nextVersion(store, definition));
    const builtAt = new Date().toISOString();
    const record = {
      key,
      version,
      definition,
      builtAt,
      archive,
      sources,
      raw,
      packages,
      phaseSeconds,
      tools,
    };
    await writeBuild(store, record);
    return record;
  }
}

/**
 * An older version can be kept, but not built again, once its sources have changed: what came out would not
 * be what its key says.
 */
async function requireSameSources(inputs: FaiImageInputs): Promise<KeySources> {
  const { archive, definition, key } = inputs;
  const present = await presentSources(inputs).catch((error: unknown) => {
    // A class that is gone, or a file that cannot be used: other sources, too.
    if (error instanceof UserError) return undefined;
    throw error;
  });
  if (
    present === undefined ||
    imageKey({ archive, definition, ...present }) !== key
  ) {
    throw new BuildError(
      `${definition.name} ${shortKey(key)} was built from an older config space or builder and cannot be built again. ` +
        "Check out the revision that made it, or delete the version's component: scripts/pulumi destroy --target URN --target-dependents",
    );
  }
  return present;
}

/** The config space that the definition uses, and the builder, as they are now. */
async function presentSources({
  definition,
  configSpace,
}: FaiImageInputs): Promise<KeySources> {
  const files = await readConfigSpace(projectPath(configSpace));
  return {
    configSpace: filesOfDefinition(files, definition),
    builder: await builderVersion(),
  };
}

async function nextVersion(
  store: Store,
  { name }: Definition,
): Promise<ImageVersion> {
  const builds = await listBuilds(store, name);
  return freeVersion(
    started,
    builds.map(({ version }) => version),
  );
}
