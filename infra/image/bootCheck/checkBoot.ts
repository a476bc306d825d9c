/** The boot check: proves that an image boots, by booting it. */

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { BootCheckError } from "../../errors.ts";
import { withPrivateDirectory } from "../../store/directories.ts";
import type { BootCheckRecord } from "../../store/records.ts";
import { isNative } from "../nativeArchitecture.ts";
import { chooseAcceleration, processorsFor } from "./acceleration.ts";
import { deliveryFor } from "./delivery.ts";
import { failureMessage } from "./failureMessage.ts";
import { type Assertion, isPass, judge } from "./judge.ts";
import { junitXml } from "./junit.ts";
import { newNonce } from "./nonce.ts";
import type { Observation } from "./observation.ts";
import { prepareFiles } from "./prepare.ts";
import type { BootCheckRequest, OutputFiles } from "./request.ts";
import { requireAll, thisHost } from "./requirements.ts";
import { runMachine } from "./run.ts";

/**
 * How much longer a foreign image may take than one of this machine's own architecture, for which time limits leave
 * room for translation already (decision 13).
 */
const foreignBootFactor = 3;

/** For callers that have nothing to cancel with, as Pulumi's providers. */
const neverAborted = new AbortController().signal;

/** Names of private directories begin with this. */
const directoryPrefix = "boot-check-";

/**
 * Boots an image in a virtual machine, through an overlay that is thrown away, and has the system
 * inside report on itself.
 *
 * @throws {BootCheckError} when the image does not prove in time that it boots
 * @throws {UserError} when this machine cannot run the check
 * @throws the signal's reason when it is aborted
 */
export async function checkBoot(
  request: BootCheckRequest,
  signal: AbortSignal = neverAborted,
): Promise<BootCheckRecord> {
  signal.throwIfAborted();
  await requireAll(request, thisHost());
  const output = outputFiles(request);
  await clearOutput(request.outputDirectory, output);
  const observation = await withPrivateDirectory(
    resolve(request.workDirectory),
    directoryPrefix,
    (directory) => observe(request, output, directory, signal),
  );
  const assertions = judge(observation, {
    firmware: request.firmware,
    bootCheck: request.definition.bootCheck,
  });
  const checkedAt = new Date().toISOString();
  await writeJunit(request, output, observation, assertions, checkedAt);
  if (!isPass(observation, assertions)) {
    throw new BootCheckError(
      failureMessage({ request, output, observation, assertions }),
    );
  }
  return recordOf(request, observation, checkedAt);
}

/** Where a check leaves what it saw. Absolute, as another directory is qemu's and people's own. */
function outputFiles(request: BootCheckRequest): OutputFiles {
  const stem = join(resolve(request.outputDirectory), request.firmware);
  return {
    console: `${stem}.log`,
    screenshot: `${stem}.png`,
    junit: `${stem}.xml`,
  };
}

/** What an earlier check left must not pass for this one's. */
async function clearOutput(
  directory: string,
  output: OutputFiles,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const path of Object.values(output)) await rm(path, { force: true });
}

async function observe(
  request: BootCheckRequest,
  output: OutputFiles,
  directory: string,
  signal: AbortSignal,
): Promise<Observation> {
  const { definition, firmware } = request;
  const { architecture } = definition;
  const nonce = newNonce();
  const delivery = deliveryFor(definition, nonce);
  const acceleration =
    request.acceleration ??
    (await chooseAcceleration(architecture, firmware, directory, signal));
  request.onProgress(`starting by ${firmware}, accelerated by ${acceleration}`);
  const machine = {
    architecture,
    firmware,
    acceleration,
    memoryMiB: definition.bootCheck.memoryMiB,
    processors: processorsFor(acceleration),
    files: await prepareFiles(request, delivery, directory, signal),
  };
  return await runMachine(
    {
      machine,
      nonce,
      consoleCommand: delivery.consoleCommand,
      timeoutSeconds:
        definition.bootCheck.timeoutSeconds *
        (isNative(architecture) ? 1 : foreignBootFactor),
      directory,
      output,
      onProgress: request.onProgress,
    },
    signal,
  );
}

async function writeJunit(
  request: BootCheckRequest,
  output: OutputFiles,
  observation: Observation,
  assertions: readonly Assertion[],
  timestamp: string,
): Promise<void> {
  const text = junitXml({
    name: `${request.definition.name} ${request.firmware}`,
    timestamp,
    seconds: observation.durationSeconds,
    assertions,
    consoleTail: observation.consoleTail,
  });
  await writeFile(output.junit, text);
}

function recordOf(
  request: BootCheckRequest,
  observation: Observation,
  checkedAt: string,
): BootCheckRecord {
  const { report } = observation;
  if (report.kind !== "complete") {
    throw new Error("A boot check without a report has passed.");
  }
  const { systemState, activeUnits, failedUnits } = report.report;
  const { kernel, rootSizeBytes, secureBoot } = report.report;
  return {
    firmware: request.firmware,
    rawSha256: request.rawSha256,
    checkedAt,
    acceleration: observation.acceleration,
    milestoneSeconds: observation.milestoneSeconds,
    systemState,
    units: { active: activeUnits, failed: failedUnits },
    kernel,
    rootSizeBytes,
    secureBoot,
  };
}
