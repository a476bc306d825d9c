/** One image, made into a store: what resources have behind them, called for one image without an engine. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { StackConfig } from "../config.ts";
import {
  type CurrentKey,
  configSpaceDirectory,
  currentKeys,
  requireRoomForPackages,
} from "../currentKeys.ts";
import type { Definition, Firmware } from "../definitions/definition.ts";
import type { ExpandedImage } from "../definitions/expand.ts";
import { shortKey } from "../definitions/key.ts";
import { BootCheckError, BuildError } from "../errors.ts";
import { implementation as bootCheck } from "../image/bootCheckProvider.ts";
import { implementation as faiImage } from "../image/faiImageProvider.ts";
import { implementation as imageFormat } from "../image/imageFormatProvider.ts";
import { staticProblems } from "../image/staticCheck.ts";
import { placesOf } from "../platforms/places.ts";
import { projectPath } from "../projectPaths.ts";
import {
  neededFormats,
  requirePossibleFormats,
} from "../release/neededFormats.ts";
import { listFailures, writeFailure } from "../store/attempts.ts";
import { jobHolder, leaveBuild, readBuild } from "../store/documents.ts";
import { openStore, storeAddress } from "../store/openStore.ts";
import type { BuildRecord, Format } from "../store/records.ts";
import type { Sha256, Store } from "../store/store.ts";
import type { ImageReport, Stage } from "./imageReport.ts";

/** Where an image is made. Paths count from the repository's root. */
export interface Workplace {
  /** Packages, layers and the state of archives, shared by all builds of a machine. */
  readonly cache: string;
  /** Logs, consoles and screenshots of what failed. */
  readonly logs: string;
  /** For what a check needs while it runs. */
  readonly work: string;
}

/** What is made, and from what. */
export interface ImageRequest {
  readonly stack: string;
  readonly image: ExpandedImage;
  /** The stack's, with the store that the image is to be made into. */
  readonly config: StackConfig;
  readonly workplace: Workplace;
  /** Whether it is built though an image with the same packages is there. */
  readonly anew: boolean;
}

/** What was made: how it went, and the record of the build where there is one. */
export interface MadeImage {
  readonly report: ImageReport;
  readonly build: BuildRecord | undefined;
}

/** The FAI class of images that let root in without a password: those to try, as the type dev and the variant nocloud are. */
const openClass = "ROOT_LOGIN";

/**
 * Builds an image, makes the formats that the stack's platforms need of it and checks that it boots, as far as the store
 * does not have all that. A failure of the image is part of the report.
 *
 * @throws {UserError} for a definition that cannot be built so, or a machine that cannot build it.
 * @throws {StoreError} when the store cannot be read or written.
 */
export async function makeImage(request: ImageRequest): Promise<MadeImage> {
  const { stack, image, config, anew } = request;
  const { definition } = image;
  const places = (await placesOf(config)).filter((place) =>
    place.takes(definition),
  );
  requirePossibleFormats(stack, places, [definition]);
  const store = openStore(storeAddress(config.store));
  const [current] = await currentKeys([definition], config, { anew });
  if (current === undefined) throw new Error("A definition has one key.");
  await requireRoomForPackages([current], [image], store);
  const { key } = current;
  await allowTry(store, current);
  const known = await readBuild(store, key);
  try {
    const stages = await makeAll(request, current, {
      formats: neededFormats(places),
      isThere: known !== undefined,
    });
    const build = await readBuild(store, key);
    const report: ImageReport = {
      definition: definition.name,
      architecture: definition.architecture,
      allowFailure: definition.allowFailure,
      key,
      ...(build === undefined ? {} : { version: build.version }),
      isBuiltHere: known === undefined && build !== undefined,
      isRebuilt:
        known !== undefined &&
        build !== undefined &&
        known.builtAt !== build.builtAt,
      stages,
    };
    return { report, build };
  } finally {
    await leaveBuild(store, key);
  }
}

/** The image itself, then everything that is made of it or tried with it. */
async function makeAll(
  { config, workplace }: ImageRequest,
  { definition, key, archive }: CurrentKey,
  {
    formats,
    isThere,
  }: { readonly formats: readonly Format[]; readonly isThere: boolean },
): Promise<readonly Stage[]> {
  const store = storeAddress(config.store);
  const label = `${definition.name} ${shortKey(key)}`;
  const logName = `${definition.name}-${shortKey(key)}.log`;
  const { cache, logs, work } = workplace;
  const shared = { store, key, definition, stack: jobHolder };
  let rawSha256: string | undefined;
  const built = await stage("build", definition, async () => {
    const { outputs } = await faiImage.create({
      ...shared,
      ...{ archive, cache, logs, configSpace: configSpaceDirectory },
    });
    rawSha256 = outputs.rawSha256;
    return outputs.failures;
  }).then((stage) => withLog(stage, join(projectPath(logs), logName)));
  const makeFormat = (format: Format) => async () => {
    await imageFormat.create({ store, key, label, rawSha256, format });
    return [];
  };
  const lookThrough = async () =>
    staticProblems(await openStore(store).file(rawSha256 as Sha256), {
      allowsEmptyPasswords: definition.classes.includes(openClass),
    });
  const tryBoot = (firmware: Firmware) => async () => {
    const { outputs } = await bootCheck.create({
      ...{ ...shared, rawSha256, firmware, logs, work },
    });
    return outputs.failures;
  };
  const later = [
    // What the store had was looked through when it was built.
    ...(isThere ? [] : [{ name: "static checks", act: lookThrough }]),
    ...formats.map((format) => ({
      name: `format ${format}`,
      act: makeFormat(format),
    })),
    ...definition.bootCheck.firmware.map((firmware) => ({
      name: `boot check ${firmware}`,
      act: tryBoot(firmware),
    })),
  ];
  if (rawSha256 === undefined) {
    return [built, ...later.map(({ name }) => skipped(name))];
  }
  return [
    built,
    ...(await Promise.all(
      later.map(({ name, act }) => stage(name, definition, act)),
    )),
  ];
}

/** Runs a part of the work, and takes a failure of the image for what it came to. */
async function stage(
  name: string,
  { name: image }: Definition,
  act: () => Promise<readonly string[] | undefined>,
): Promise<Stage> {
  const began = performance.now();
  const ended = (problem?: string): Stage => {
    const seconds = (performance.now() - began) / 1000;
    console.log(
      `${image}: ${name} ${problem === undefined ? "is good" : "FAILED"} (${seconds.toFixed(1)} s)`,
    );
    return problem === undefined
      ? { name, seconds, verdict: "passed" }
      : { name, seconds, verdict: "failed", problem };
  };
  try {
    // Where the definition allows its image to fail, a failure is an outcome.
    const failures = (await act()) ?? [];
    return ended(failures.length === 0 ? undefined : failures.join("\n"));
  } catch (error) {
    if (error instanceof BuildError || error instanceof BootCheckError) {
      return ended(error.message);
    }
    throw error;
  }
}

/** Lines at a log's end that say what happened, as a rule. */
const tailLines = 40;

/** A failure with the end of its log, where there is one. */
async function withLog(stage: Stage, log: string): Promise<Stage> {
  if (stage.problem === undefined) return stage;
  const text = await readFile(log, "utf8").catch(() => "");
  const tail = text.trimEnd().split("\n").slice(-tailLines).join("\n");
  const end = tail === "" ? "" : `\n\nThe log's last lines:\n${tail}`;
  return { ...stage, problem: stage.problem + end };
}

function skipped(name: string): Stage {
  return { name, seconds: 0, verdict: "skipped" };
}

/**
 * Whoever starts a job wants the image to be tried: the pause after earlier failures is over. Their number stays, so that
 * an `up` afterwards does not try what the job has just tried.
 */
async function allowTry(
  store: Store,
  { key }: Pick<CurrentKey, "key">,
): Promise<void> {
  const failures = await listFailures(store);
  for (const failure of failures.filter((each) => each.key === key)) {
    const lastAttemptAt = new Date(0).toISOString();
    await writeFailure(store, { ...failure, lastAttemptAt });
  }
}
