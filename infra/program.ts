/** What a stack declares: decided here, from configuration, definitions, archive and records. */

import * as pulumi from "@pulumi/pulumi";
import { chooseDefinitions, parseConfig, type StackConfig } from "./config.ts";
import { currentKeys } from "./currentKeys.ts";
import { loadImages } from "./definitions/load.ts";
import { StoreError } from "./errors.ts";
import { projectPath } from "./projectPaths.ts";
import {
  fullStackName,
  ImageVersion,
  type ImageVersionArgs,
} from "./release/imageVersion.ts";
import {
  formatNeeds,
  requirePossibleFormats,
} from "./release/neededFormats.ts";
import { olderVersions } from "./release/retention.ts";
import { summaryText } from "./release/summary.ts";
import { writeRun } from "./store/attempts.ts";
import {
  listPublications,
  publicationName,
  readBuild,
} from "./store/documents.ts";
import { openStore } from "./store/openStore.ts";
import type { PublicationRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";

/** What the stack's outputs say. */
export interface ProgramOutputs {
  /** Where everything is, for people. */
  readonly summary: pulumi.Output<string>;
  /** Resolves when every version has come to its end, good or bad. */
  readonly end: pulumi.Output<unknown>;
}

/**
 * Declares every image version of the selected stack.
 *
 * @throws {UserError} for configuration or definitions that are wrong, before anything is declared.
 */
export async function declareImages(): Promise<ProgramOutputs> {
  const config = parseConfig(pulumi.getStack(), pulumi.runtime.allConfig());
  const definitions = chooseDefinitions(
    pulumi.getStack(),
    config,
    await loadImages(projectPath("image-definitions"), config.type),
  );
  const keys = await currentKeys(definitions, config);
  const current = keys.map(({ definition, key, archive }) => ({
    config,
    definition,
    key,
    archive,
  }));
  const store = openStore(config.store.directory);
  const older = await olderVersionsOf(config, store, current);
  requirePossibleFormats(
    pulumi.getStack(),
    formatNeeds(config),
    [...older, ...current].map(({ definition }) => definition),
  );

  if (!pulumi.runtime.isDryRun()) await recordRun(store, current, older);
  const olderImages = older.map((args) => new ImageVersion(args));
  const images = current.map((args) => ({
    definition: args.definition,
    image: new ImageVersion(args),
  }));
  const all = [...olderImages, ...images.map(({ image }) => image)];
  return {
    summary: summaryText(config.directory.path, images),
    end: pulumi.all(all.map(({ files }) => pulumi.recover(files, () => []))),
  };
}

/** Notes what this run is to come to, so that it can be said afterwards what became of it. */
function recordRun(
  store: Store,
  current: readonly ImageVersionArgs[],
  older: readonly ImageVersionArgs[],
): Promise<void> {
  const images = current.map(({ definition, key }) => ({
    definition: definition.name,
    key,
  }));
  const startedAt = new Date().toISOString();
  return writeRun(
    store,
    { stack: fullStackName(), startedAt, images },
    older.map(({ key }) => key),
  );
}

/** The published versions that retention keeps, as they were declared when they were built. */
async function olderVersionsOf(
  config: StackConfig,
  store: Store,
  current: readonly ImageVersionArgs[],
): Promise<readonly ImageVersionArgs[]> {
  const publications = await listPublications(store);
  const kept = current.flatMap(({ definition, key }) =>
    olderVersions(
      key,
      publications.filter(
        (record) =>
          record.definition.name === definition.name &&
          record.stack === fullStackName(),
      ),
      config.retention.versions,
    ),
  );
  return Promise.all(kept.map((record) => recorded(config, store, record)));
}

async function recorded(
  config: StackConfig,
  store: Store,
  publication: PublicationRecord,
): Promise<ImageVersionArgs> {
  const { key, version, definition } = publication;
  const build = await readBuild(store, key);
  if (build === undefined) {
    const name = publicationName({
      ...publication,
      definition: definition.name,
    });
    throw new StoreError(
      `${store.location} has the publication ${definition.name} ${version}, but not its build ${key}. ` +
        "Nothing is changed before that is put right: restore the store from a backup, " +
        `or remove ${name} from it to give the version up.`,
    );
  }
  return { config, definition: build.definition, key, archive: build.archive };
}
