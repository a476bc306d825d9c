/** Looks at a stack's places, read-only, and leaves out what cannot be reached, so that the rest is seen all the same. */

import { PreviewError, UserError } from "../errors.ts";
import { readStackFile } from "../stackFile.ts";
import {
  changedUrns,
  type DriftReport,
  hidesSecrets,
  readDrift,
  unreachableGroups,
} from "./driftReading.ts";
import { type EngineDigest, parseDigest } from "./engineDigest.ts";
import {
  type EnginePreview,
  type Environment,
  previewStack,
  secretsOf,
  stateEnvironment,
} from "./enginePreview.ts";
import { cut } from "./previewReading.ts";
import { type Redact, redaction } from "./redaction.ts";
import { placeRegions } from "./resourcePlace.ts";

/** A look per place that fails alone, and some more. */
const mostLooks = 12;

/**
 * Compares everything that a stack has with what its state says. `--expect-no-changes` would fail as well for a package that the archive
 * has anew; so what an up would do is told apart here, and the engine's exit code says whether it could look.
 *
 * @throws {UserError} for a state that is out of reach.
 * @throws {PreviewError} when the engine cannot look at anything.
 */
export async function lookForDrift(
  stack: string,
  env: Environment,
): Promise<DriftReport> {
  const file = await readStackFile(stack);
  const own = await stateEnvironment(file, env);
  if (own === undefined) {
    throw new UserError(
      `The state of the stack ${stack} is out of reach: give this job PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE. They are variables of protected branches; a schedule runs on one.`,
    );
  }
  const redact = redaction(env, await secretsOf(file, own));
  const places = placeRegions(file.config).names;
  const unreachable = new Map<string, string>();
  const excluded: string[] = [];
  for (let look = 0; look < mostLooks; look += 1) {
    const preview = await previewStack(file, own, [
      "--refresh",
      ...excluded.flatMap((urn) => ["--exclude", urn]),
    ]);
    const digest = readable(preview, redact);
    if (preview.exitCode === 0) {
      const pendingAnyway = hidesSecrets(digest)
        ? changedUrns(readable(await previewStack(file, own), redact))
        : undefined;
      return readDrift(stack, digest, {
        ...{ places, unreachable, pendingAnyway, redact },
      });
    }
    const failed = unreachableGroups(digest, places);
    const news = [...failed].filter(([group]) => !unreachable.has(group));
    if (news.length === 0) throw failureOf(preview, digest, redact);
    for (const [group, { why, urns }] of news) {
      unreachable.set(group, redact(cut(why, 2000)));
      excluded.push(...urns);
    }
  }
  throw new PreviewError(
    `More than ${mostLooks} places of the stack ${stack} cannot be reached: ${[...unreachable.keys()].join(", ")}. See whether this machine has a network, and its credentials.`,
  );
}

function readable(preview: EnginePreview, redact: Redact): EngineDigest {
  try {
    return parseDigest(preview.printed);
  } catch (error) {
    if (!(error instanceof PreviewError)) throw error;
    throw new PreviewError(redact(preview.said.trim() || error.message));
  }
}

/** Why it failed where no place is to blame: definitions, the archive, the engine. */
function failureOf(
  { said, exitCode }: EnginePreview,
  { diagnostics }: EngineDigest,
  redact: Redact,
): PreviewError {
  const errors = diagnostics
    .filter(({ severity }) => severity === "error")
    .map(({ text }) => text);
  const text = errors.join("\n") || said.trim();
  return new PreviewError(
    redact(text || `pulumi preview ended with ${exitCode}.`),
  );
}
