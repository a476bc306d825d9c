/** Trying what may fail: less and less often while it fails, and with an outcome instead of an error where allowed. */

import type { Definition, ImageKey } from "../definitions/definition.ts";
import { BootCheckError, BuildError } from "../errors.ts";
import { readFailure, removeFailure, writeFailure } from "../store/attempts.ts";
import type { FailureRecord, Step } from "../store/records.ts";
import type { Store } from "../store/store.ts";

/** What is tried. */
export interface Attempt {
  readonly definition: Definition;
  readonly key: ImageKey;
  readonly step: Step;
  /** `organization/project/stack`. */
  readonly stack: string;
  /** Where the log of a failure is: a file or a directory. */
  readonly log: string;
}

const hourMilliseconds = 3_600_000;

/** Once a day is often enough to notice that something mends itself, and seldom enough to cost little. */
const longestPauseHours = 24;

/**
 * The pause after so many failures in a row: none after the first, which may have been bad luck, then 1, 2, 4
 * hours and so on up to 24.
 */
export function pauseHours(attempts: number): number {
  if (attempts < 2) return 0;
  return Math.min(2 ** (attempts - 2), longestPauseHours);
}

/** When a step that failed is tried again. */
export function retryMoment({
  attempts,
  lastAttemptAt,
}: Pick<FailureRecord, "attempts" | "lastAttemptAt">): Date {
  const pauseMilliseconds = pauseHours(attempts) * hourMilliseconds;
  return new Date(Date.parse(lastAttemptAt) + pauseMilliseconds);
}

/**
 * Tries a step, unless it failed too recently. A failure is recorded, a success forgets those before it. Work that
 * was interrupted, or could not begin on this machine, leaves the record as it is.
 *
 * @throws {BuildError} {BootCheckError} what the work throws; and without work, while it is too early.
 */
export async function tryStep<T>(
  store: Store,
  attempt: Attempt,
  work: () => Promise<T>,
): Promise<T> {
  const { definition, key, step, stack, log } = attempt;
  const before = await readFailure(store, key, step);
  if (before !== undefined) refuseIfEarly(before);
  try {
    const result = await work();
    if (before !== undefined) await removeFailure(store, attempt);
    return result;
  } catch (error) {
    if (isFailureOfImage(error)) {
      await writeFailure(store, {
        ...{ key, step, stack, log },
        definition: definition.name,
        attempts: (before?.attempts ?? 0) + 1,
        lastAttemptAt: new Date().toISOString(),
        message: error.message,
      });
    }
    throw error;
  }
}

function refuseIfEarly(failure: FailureRecord): void {
  const moment = retryMoment(failure);
  if (moment.getTime() <= Date.now()) return;
  const { attempts, definition, lastAttemptAt, message, step } = failure;
  const what = step === "build" ? "The build" : `The boot check ${step}`;
  const text =
    `${what} of ${definition} failed ${attempts} times in a row, the last time at ${lastAttemptAt}, and is not tried before ` +
    `${moment.toISOString()}. To try at the next run: scripts/images retry ${definition}. A change of what it is made ` +
    `from is tried at once, too. It said: ${message}`;
  throw step === "build" ? new BuildError(text) : new BootCheckError(text);
}

function isFailureOfImage(error: unknown): error is Error {
  return error instanceof BuildError || error instanceof BootCheckError;
}

/**
 * The sentences that say why there is no result, where the definition allows its image to fail. The engine has
 * no failure that lets a run succeed, so this one is an outcome, which the resource has to record.
 *
 * @throws what the work throws, where that is not allowed or is no failure of the image.
 */
export async function outcomeOf<T extends object>(
  { allowFailure, name }: Definition,
  work: () => Promise<T>,
): Promise<T | { readonly failures: readonly string[] }> {
  try {
    return await work();
  } catch (error) {
    if (!allowFailure || !isFailureOfImage(error)) throw error;
    console.log(
      `${name} FAILED, which its definition allows: ${error.message}`,
    );
    return { failures: [error.message] };
  }
}
