/** Locks in a directory store: a directory that its holder keeps fresh. */

import { dirname } from "node:path";
import { lock } from "proper-lockfile";
import { inDirectory } from "./directories.ts";
import { errorCode, fileFailure } from "./fileFailure.ts";
import { type HeldLock, whileHolding } from "./lock.ts";

/**
 * A holder that has not touched its lock for so long is dead. It touches it five times as often, from
 * a timer: only a process that stood still for all that time is taken for dead by mistake, and it is
 * told when it wakes up.
 */
const staleMilliseconds = 10_000;
const refreshMilliseconds = 2_000;

/** Looking at a directory costs nothing. */
const pauseMilliseconds = 200;

/**
 * Runs `use` while holding the lock.
 * @param name what the lock is called in messages.
 * @param path the directory that is the lock while it is held.
 * @param onWait called once when somebody else holds it.
 * @throws {StoreError} when it stays held for longer than `patienceSeconds`, or was lost during `use`.
 */
export function holdLock<T>(
  name: string,
  path: string,
  patienceSeconds: number,
  use: () => Promise<T>,
  onWait: () => void = () => {},
): Promise<T> {
  return whileHolding(
    { name, place: path, pauseMilliseconds, attempt: () => attempt(path) },
    patienceSeconds,
    use,
    onWait,
  );
}

async function attempt(path: string): Promise<HeldLock | undefined> {
  let isLost = false;
  try {
    const release = await inDirectory(dirname(path), () =>
      lock(path, {
        lockfilePath: path,
        realpath: false,
        stale: staleMilliseconds,
        update: refreshMilliseconds,
        onCompromised: () => {
          isLost = true;
        },
      }),
    );
    return { lost: () => (isLost ? lostReason : undefined), release };
  } catch (error) {
    if (errorCode(error) === "ELOCKED") return undefined;
    throw fileFailure("take the lock", path, error);
  }
}

const lostReason = `this process stood still for more than ${staleMilliseconds / 1000} seconds, or somebody removed it`;
