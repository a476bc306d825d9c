/** The program behind scripts/images. */

import { parseArgs } from "node:util";
import {
  chooseDefinitions,
  parseAccountConfig,
  type StackConfig,
} from "../../infra/config.ts";
import {
  type DefinitionName,
  type ImageType,
  imageTypes,
} from "../../infra/definitions/definition.ts";
import type { ExpandedImage } from "../../infra/definitions/expand.ts";
import { imageDetails, imageTable } from "../../infra/definitions/listing.ts";
import { loadImages } from "../../infra/definitions/load.ts";
import { PublicationError, StoreError, UserError } from "../../infra/errors.ts";
import { explain, explanationText } from "../../infra/explanation.ts";
import {
  ageOf,
  ageTable,
  filterStates,
  type KnownStack,
  readStack,
  type StateFilter,
  stateOf,
  stateTable,
} from "../../infra/imageStates.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import { readStackConfig, readStackValues } from "../../infra/stackFile.ts";
import { listFailures, removeFailure } from "../../infra/store/attempts.ts";
import { openStore, storeAddress } from "../../infra/store/openStore.ts";

try {
  console.log(await answer(process.argv.slice(2)));
} catch (error) {
  const isForUser = [UserError, StoreError, PublicationError].some(
    (kind) => error instanceof kind,
  );
  if (!isForUser || !(error instanceof Error)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function answer(args: string[]): Promise<string> {
  const { words, json, stack, type, since, place, failed, region, sha256 } =
    readArguments(args);
  const [command, name] = words;
  if (command === "list" && words.length === 1) {
    const images = (await load(type)).filter(
      ({ types }) => type === undefined || types.includes(type),
    );
    return json
      ? asJson(
          images.map(({ definition, types }) => ({ ...definition, types })),
        )
      : imageTable(images);
  }
  if (command === "show" && name !== undefined && words.length === 2) {
    const image = imageOfName(await load(type), name);
    const { places, ...rest } = image;
    return json
      ? asJson({ ...rest, places: Object.fromEntries(places) })
      : imageDetails(image);
  }
  if (command === "explain" && name !== undefined && words.length === 2) {
    const config = await readStackConfig(stack);
    const { definition } = imageOfName(await load(config.type), name);
    const explanation = await explain(definition, config);
    return json ? asJson(explanation) : explanationText(explanation);
  }
  if (command === "status" && words.length === 1) {
    const account = parseAccountConfig(stack, await readStackValues(stack));
    if (account !== undefined) return "";
    return statusOf(await readStackOf(stack), {
      ...{ since, place, isFailed: failed, json },
    });
  }
  if (command === "check" && words.length === 1) {
    return checkOf(await readStackOf(stack), json);
  }
  if (command === "retry" && name !== undefined && words.length === 2) {
    const { definition } = imageOfName(await load(), name);
    return forgetFailures(definition.name, await readStackConfig(stack));
  }
  if (command === "verify" && name !== undefined && words.length === 2) {
    const { verifyPublishedAmi } = await import("./verify-ami.ts");
    const { text, result, isPublished } = await verifyPublishedAmi({
      imageId: name,
      ...{ region, sha256 },
      // Whoever has no stack says what there should be.
      store:
        sha256 === undefined
          ? openStore(storeAddress((await readStackConfig(stack)).store))
          : undefined,
    });
    if (!isPublished) process.exitCode = 1;
    return json ? asJson(result) : text;
  }
  throw usageError(`"${words.join(" ")}" is none of its commands.`);
}

function readArguments(args: string[]) {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        stack: { type: "string", default: "local" },
        type: { type: "string" },
        since: { type: "string", default: "1970-01-01" },
        place: { type: "string" },
        failed: { type: "boolean", default: false },
        region: { type: "string" },
        sha256: { type: "string" },
      },
    });
    const type = imageTypes.find((each) => each === values.type);
    if (values.type !== undefined && type === undefined) {
      throw new Error(
        `There is no type "${values.type}", but ${imageTypes.join(", ")}.`,
      );
    }
    return { words: positionals, ...values, type };
  } catch (error) {
    throw usageError((error as Error).message);
  }
}

function load(type?: ImageType): Promise<readonly ExpandedImage[]> {
  return loadImages(projectPath("image-definitions"), type);
}

async function readStackOf(stack: string): Promise<KnownStack> {
  const config = await readStackConfig(stack);
  const images = await load(config.type);
  return readStack(stack, chooseDefinitions(stack, config, images), config);
}

/** @param since an older run is none: the one that was meant has not come so far */
function statusOf(
  { run, images }: KnownStack,
  {
    since,
    json,
    ...filter
  }: StateFilter & { readonly since: string; readonly json: boolean },
): string {
  if (run === undefined || Date.parse(run.startedAt) < Date.parse(since)) {
    return json ? asJson([]) : "No run is recorded that declared any image.";
  }
  const states = filterStates(
    images.flatMap((image) => stateOf(run, image) ?? []),
    filter,
  );
  if (states.length === 0 && !json) return "Nothing failed.";
  return json ? asJson(states) : stateTable(states);
}

function checkOf({ run, images }: KnownStack, json: boolean): string {
  const now = new Date();
  const ages = images.flatMap((image) => ageOf(run, image, now) ?? []);
  if (ages.some(({ isTooOld }) => isTooOld)) process.exitCode = 1;
  return json ? asJson(ages) : ageTable(ages);
}

async function forgetFailures(
  name: DefinitionName,
  config: StackConfig,
): Promise<string> {
  const store = openStore(storeAddress(config.store));
  const failures = await listFailures(store);
  const own = failures.filter(({ definition }) => definition === name);
  for (const failure of own) await removeFailure(store, failure);
  return own.length === 0
    ? `No failure of ${name} is recorded: nothing keeps it from being tried.`
    : `${name} is tried again by the next run.`;
}

function usageError(problem: string): UserError {
  return new UserError(`scripts/images: ${problem} Run scripts/images --help.`);
}

function imageOfName(
  images: readonly ExpandedImage[],
  name: string,
): ExpandedImage {
  const image = images.find(({ definition }) => definition.name === name);
  if (image === undefined) {
    throw new UserError(
      `image-definitions describes no ${JSON.stringify(name)}. scripts/images list names all that it does.`,
    );
  }
  return image;
}

function asJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}
