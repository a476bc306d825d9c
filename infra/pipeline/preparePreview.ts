/** Makes the document of a preview: runs the engine, and finds out what it does not say. */

import { chooseDefinitions } from "../config.ts";
import { loadImages } from "../definitions/load.ts";
import { PreviewError, StoreError, UserError } from "../errors.ts";
import { type Explanation, explainAll } from "../explanation.ts";
import { projectPath } from "../projectPaths.ts";
import {
  readStackFile,
  requireStackName,
  type StackFile,
} from "../stackFile.ts";
import { openStore, storeAddress } from "../store/openStore.ts";
import { type EngineDigest, parseDigest } from "./engineDigest.ts";
import {
  type EnginePreview,
  type Environment,
  previewEmptyStack,
  previewStack,
  secretsOf,
  stateEnvironment,
} from "./enginePreview.ts";
import { keyConfig } from "./openConfig.ts";
import { packageDifferences, readBuildRecords } from "./packageDifference.ts";
import {
  type PackageDifference,
  type PreviewDocument,
  previewDocumentSchema,
} from "./previewDocument.ts";
import { cut, previewDocument } from "./previewReading.ts";
import { type Redact, redaction } from "./redaction.ts";

/**
 * Previews a stack; nothing is changed. What the user can put right, such as a stack's file that is missing or broken, comes as a
 * document with that word alone: without one, the merge request would keep the note of a commit before.
 *
 * @param builds a directory with artifacts of builds, where there is one
 * @throws {UserError} for a name that cannot be a stack's.
 */
export async function preparePreview(
  stack: string,
  builds: string | undefined,
  env: Environment,
): Promise<PreviewDocument> {
  requireStackName(stack);
  try {
    return await previewOf(stack, builds, env);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return previewDocumentSchema.parse(
      previewDocument({
        ...{ stack, state: "target", isComplete: false, config: {} },
        ...{ digest: undefined, failure: error.message },
        ...nothingExplained,
        ...{ leftOut: [], packages: [], redact: redaction(env) },
      }),
    );
  }
}

async function previewOf(
  stack: string,
  builds: string | undefined,
  env: Environment,
): Promise<PreviewDocument> {
  const file = await readStackFile(stack);
  const own = await stateEnvironment(file, env);
  const { preview, leftOut } =
    own === undefined
      ? await emptyPreview(file, env)
      : // What stays is told as well: it says what there is already.
        {
          preview: await previewStack(file, own, ["--show-sames"]),
          leftOut: [],
        };
  const secrets = own === undefined ? [] : await secretsOf(file, own);
  const redact = redaction(env, secrets);
  const { digest, failure } = readEngine(preview, redact);
  const hasStore = own !== undefined;
  const { explanations, unexplained } = await explained(file, digest, hasStore);
  const packages = await comparedPackages(file, builds, hasStore);
  return previewDocumentSchema.parse(
    previewDocument({
      ...{ stack, leftOut, digest, redact, failure, unexplained },
      state: own === undefined ? "empty" : "target",
      isComplete: preview.exitCode === 0 && failure === undefined,
      config: own === undefined ? {} : file.config,
      explanations,
      packages,
    }),
  );
}

async function emptyPreview(file: StackFile, env: Environment) {
  const { leftOut, ...preview } = await previewEmptyStack(file, env);
  return { preview, leftOut };
}

/** What the engine printed, or why that is nothing. */
function readEngine(
  { exitCode, printed, said }: EnginePreview,
  redact: Redact,
): { digest: EngineDigest | undefined; failure: string | undefined } {
  try {
    const digest = parseDigest(printed);
    const isTold = digest.diagnostics.some(
      ({ severity }) => severity === "error",
    );
    // Its own diagnostics say it better.
    return exitCode === 0 || isTold
      ? { digest, failure: undefined }
      : {
          digest,
          failure: said.trim() || `pulumi preview ended with ${exitCode}`,
        };
  } catch (error) {
    if (!(error instanceof PreviewError)) throw error;
    return {
      digest: undefined,
      failure: redact(said.trim() || cut(error.message, 5000)),
    };
  }
}

/** Why images appear, as far as the stack's store has their builds before. */
async function explained(
  file: StackFile,
  digest: EngineDigest | undefined,
  hasStore: boolean,
): Promise<{
  explanations: readonly Explanation[];
  unexplained: string | undefined;
}> {
  const isNew = (name: string) =>
    digest?.steps.some(
      ({ op, urn }) =>
        op === "create" &&
        new RegExp(`::${escaped(name)}-[0-9a-f]{12}$`).test(urn),
    ) ?? false;
  try {
    if (!hasStore || digest === undefined) return nothingExplained;
    const config = keyConfig(file);
    const images = await loadImages(
      projectPath("image-definitions"),
      config.type,
    );
    const definitions = chooseDefinitions(file.stack, config, images).filter(
      ({ name }) => isNew(name),
    );
    if (definitions.length === 0) return nothingExplained;
    return {
      explanations: await explainAll(definitions, config),
      unexplained: undefined,
    };
  } catch (error) {
    if (!isForUser(error)) throw error;
    return { explanations: [], unexplained: error.message };
  }
}

const nothingExplained = { explanations: [], unexplained: undefined };

async function comparedPackages(
  file: StackFile,
  directory: string | undefined,
  hasStore: boolean,
): Promise<readonly PackageDifference[]> {
  if (directory === undefined) return [];
  const builds = await readBuildRecords(directory);
  try {
    const store = hasStore
      ? openStore(storeAddress(keyConfig(file).store))
      : undefined;
    return await packageDifferences(builds, store);
  } catch (error) {
    if (!isForUser(error)) throw error;
    return packageDifferences(builds, undefined);
  }
}

function isForUser(error: unknown): error is Error {
  return error instanceof UserError || error instanceof StoreError;
}

function escaped(text: string): string {
  return text.replaceAll(".", "\\.");
}
