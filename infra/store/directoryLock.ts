/** Locks in a directory store: a directory that its holder keeps fresh. */

import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lock } from "proper-lockfile";
import { StoreError } from "../errors.ts";
import { inDirectory } from "./directories.ts";
import { errorCode, fileFailure } from "./fileFailure.ts";

/**
 * A holder that has not touched its lock for so long is dead. It touches it five times as often, from
 * a timer: only a process that stood still for all that time is taken for dead by mistake, and it is
 * told when it wakes up.
 */
const staleMilliseconds = 10_000;
const refreshMilliseconds = 2_000;

/** Pause between two attempts, at most; half to all of it, so that those who wait do not march in step. */
const pauseMilliseconds = 200;

/**
 * Runs `use` while holding the lock.
 * @param name what the lock is called in messages.
 * @param path the directory that is the lock while it is held.
 * @param onWait called once when somebody else holds it.
 * @throws {StoreError} when it stays held for longer than `patienceSeconds`, or was lost during `use`.
 */
export async function holdLock<T>(
  name: string,
  path: string,
  patienceSeconds: number,
  use: () => Promise<T>,
  onWait: () => void = () => {},
): Promise<T> {
  let lost: Error | undefined;
  const onLost = (error: Error) => {
    lost = error;
  };
  const release = await acquire(name, path, patienceSeconds, onLost, onWait);
  try {
    const result = await use();
    if (lost !== undefined) refuseLost(name, path, lost);
    return result;
  } finally {
    // One that was lost is somebody else's by now.
    if (lost === undefined) await release();
  }
}

function refuseLost(name: string, path: string, cause: Error): never {
  throw new StoreError(
    `The lock "${name}" (${path}) was lost while it was needed: this process stood still for more than ${staleMilliseconds / 1000} seconds, or somebody removed it. Run again: what was done twice is harmless.`,
    { cause },
  );
}

async function acquire(
  name: string,
  path: string,
  patienceSeconds: number,
  onLost: (error: Error) => void,
  onWait: () => void,
): Promise<() => Promise<void>> {
  const started = performance.now();
  for (let attempts = 0; ; attempts++) {
    if (attempts === 1) onWait();
    try {
      return await attempt(path, onLost);
    } catch (error) {
      if (errorCode(error) !== "ELOCKED") {
        throw fileFailure("take the lock", path, error);
      }
    }
    const waitedSeconds = (performance.now() - started) / 1000;
    if (waitedSeconds >= patienceSeconds) refuse(name, path, waitedSeconds);
    await sleep(pauseMilliseconds * (0.5 + Math.random() / 2));
  }
}

function attempt(path: string, onLost: (error: Error) => void) {
  return inDirectory(dirname(path), () =>
    lock(path, {
      lockfilePath: path,
      realpath: false,
      stale: staleMilliseconds,
      update: refreshMilliseconds,
      onCompromised: onLost,
    }),
  );
}

function refuse(name: string, path: string, waitedSeconds: number): never {
  throw new StoreError(
    `The lock "${name}" stayed held by another process for the ${Math.round(waitedSeconds)} seconds that were waited. Run again when the other \`pulumi up\` or build is done. If there is none, on any machine that shares the store, remove ${path}.`,
  );
}
