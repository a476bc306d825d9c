/** What stands behind {@link BootCheck}: boots the artifact, once for each image and firmware. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  Definition,
  Firmware,
  ImageKey,
} from "../definitions/definition.ts";
import { shortKey } from "../definitions/key.ts";
import type { Implementation } from "../dynamic/provider.ts";
import { projectPath } from "../projectPaths.ts";
import { removeFailure } from "../store/attempts.ts";
import {
  bootCheckAttachmentName,
  bootCheckAttachments,
  readBootCheck,
  removeBootCheck,
  writeBootCheck,
} from "../store/documents.ts";
import { openStore, storeDifference } from "../store/openStore.ts";
import type { BootCheckRecord } from "../store/records.ts";
import type { Sha256, Store } from "../store/store.ts";
import { outcomeOf, tryStep } from "./attempt.ts";
import { checkBoot } from "./bootCheck/checkBoot.ts";
import { withCapacity } from "./capacity.ts";

/** Which image, and how it is to start. Paths count from the repository's root. */
export interface BootCheckInputs {
  /** `organization/project/stack` that declares the image. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  readonly definition: Definition;
  /** The raw image; none while the image is one that failed and was allowed to. */
  readonly rawSha256?: string | undefined;
  readonly firmware: Firmware;
  /** Directory for console, screenshot and JUnit file of a check that runs or failed. */
  readonly logs: string;
  /** Directory for what a check needs while it runs. */
  readonly work: string;
}

/** A passed check; of one that failed and was allowed to, only why. */
export interface BootCheckOutputs extends BootCheckInputs {
  readonly acceleration?: "kvm" | "tcg";
  readonly checkedAt?: string;
  readonly milestoneSeconds?: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  /** Why the image has not proved itself; absent in states of old. */
  readonly failures?: readonly string[];
}

/** qemu itself, beside the guest's memory. */
const qemuMiB = 256;

export const implementation: Implementation<BootCheckInputs, BootCheckOutputs> =
  {
    async create(inputs) {
      const outputs = await provideOrFail(inputs);
      return { id: `${inputs.key}/${inputs.firmware}`, outputs };
    },

    async read(_id, outputs) {
      const store = openStore(outputs.store);
      const record = await readBootCheck(store, outputs.key, outputs.firmware);
      if (record === undefined) return undefined;
      const problems =
        record.rawSha256 === outputs.rawSha256
          ? []
          : ["the record is about another image"];
      return { ...outputs, problems };
    },

    diff(outputs, inputs) {
      // What was proved stays proved while there is no other image.
      if (inputs.rawSha256 === undefined) return { replaces: [], updates: [] };
      const store = storeDifference(outputs.store, inputs.store);
      const changed = (["key", "firmware"] as const).filter(
        (name) => outputs[name] !== inputs[name],
      );
      const replaces = [...changed, ...store.replaces];
      const updates = [
        ...store.updates,
        ...(outputs.rawSha256 === inputs.rawSha256 ? [] : ["rawSha256"]),
        ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ...(outputs.failures?.length ? ["failures"] : []),
      ];
      return { replaces, updates };
    },

    update(_id, _outputs, inputs) {
      return provideOrFail(inputs);
    },

    // The record belongs to the build: FaiImage removes both when no stack declares the key any more.
    async delete() {},
  };

async function provideOrFail(
  inputs: BootCheckInputs,
): Promise<BootCheckOutputs> {
  const { definition, rawSha256 } = inputs;
  const outcome =
    rawSha256 === undefined
      ? {}
      : await outcomeOf(definition, () =>
          provide({ ...inputs, rawSha256: rawSha256 as Sha256 }),
        );
  return { ...inputs, problems: [], failures: [], ...outcome };
}

/** There is an image to check. */
type CheckableInputs = BootCheckInputs & { readonly rawSha256: Sha256 };

/** Finds the record of this image in the store, or boots the image. */
async function provide(
  inputs: CheckableInputs,
): Promise<
  Pick<BootCheckRecord, "acceleration" | "checkedAt" | "milestoneSeconds">
> {
  const { firmware, key, rawSha256 } = inputs;
  const store = openStore(inputs.store);
  const known = await readBootCheck(store, key, firmware);
  const isKnown = known?.rawSha256 === rawSha256;
  // Another runner may have had more luck.
  if (isKnown) await removeFailure(store, { key, step: `boot-${firmware}` });
  const record = isKnown ? known : await check(inputs, store);
  const { acceleration, checkedAt, milestoneSeconds } = record;
  return { acceleration, checkedAt, milestoneSeconds };
}

async function check(
  inputs: CheckableInputs,
  store: Store,
): Promise<BootCheckRecord> {
  const { definition, firmware, key, rawSha256, stack } = inputs;
  const label = `${definition.name} ${shortKey(key)} ${firmware}`;
  const outputDirectory = join(
    projectPath(inputs.logs),
    `${definition.name}-${shortKey(key)}-boot-checks`,
  );
  const memoryMiB = definition.bootCheck.memoryMiB + qemuMiB;
  await removeBootCheck(store, key, firmware);
  const step = `boot-${firmware}` as const;
  const attempt = { definition, key, step, stack, log: outputDirectory };
  const record = await tryStep(store, attempt, () =>
    withCapacity(`The boot check of ${label}`, memoryMiB, async () =>
      checkBoot({
        rawPath: await store.file(rawSha256),
        rawSha256,
        definition,
        firmware,
        outputDirectory,
        workDirectory: projectPath(inputs.work),
        onProgress: (message) => console.log(`${label}: ${message}`),
      }),
    ),
  );
  for (const kind of bootCheckAttachments) {
    const name = bootCheckAttachmentName(key, firmware, kind);
    await store.write(
      name,
      await readFile(join(outputDirectory, `${firmware}.${kind}`)),
    );
  }
  await writeBootCheck(store, key, record);
  return record;
}
