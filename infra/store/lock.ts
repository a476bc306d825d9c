/** What locks have in common, whatever they are kept in: waiting for one, and losing one. */

import { setTimeout as sleep } from "node:timers/promises";
import { StoreError } from "../errors.ts";

/** A lock while it is held. */
export interface HeldLock {
  /** Why it is somebody else's by now; `undefined` while it is held. */
  lost(): string | undefined;
  /** Gives it back. Not called for one that was lost. */
  release(): Promise<void>;
}

/** A lock that may be taken. */
export interface Lock {
  /** What it is called in messages. */
  readonly name: string;
  /** What there is while it is held: who is sure that nobody holds it may remove that. */
  readonly place: string;
  /** Pause between two attempts, at most; half to all of it, so that those who wait do not march in step. */
  readonly pauseMilliseconds: number;
  /** Takes it, or finds it held by somebody else. */
  attempt(): Promise<HeldLock | undefined>;
}

/**
 * Runs `use` while holding the lock.
 * @param onWait called once when somebody else holds it.
 * @throws {StoreError} when it stays held for longer than `patienceSeconds`, or was lost during `use`.
 */
export async function whileHolding<T>(
  lock: Lock,
  patienceSeconds: number,
  use: (held: HeldLock) => Promise<T>,
  onWait: () => void = () => {},
): Promise<T> {
  const held = await acquire(lock, patienceSeconds, onWait);
  try {
    const result = await use(held);
    requireHeld(lock, held);
    return result;
  } finally {
    if (held.lost() === undefined) await held.release();
  }
}

/** @throws {StoreError} when the lock was lost. */
export function requireHeld(
  { name, place }: Pick<Lock, "name" | "place">,
  held: HeldLock,
): void {
  const reason = held.lost();
  if (reason === undefined) return;
  throw new StoreError(
    `The lock "${name}" (${place}) was lost while it was needed: ${reason}. Run again: what was done twice is harmless.`,
  );
}

async function acquire(
  lock: Lock,
  patienceSeconds: number,
  onWait: () => void,
): Promise<HeldLock> {
  const started = performance.now();
  for (let attempts = 0; ; attempts++) {
    if (attempts === 1) onWait();
    const held = await lock.attempt();
    if (held !== undefined) return held;
    const waitedSeconds = (performance.now() - started) / 1000;
    if (waitedSeconds >= patienceSeconds) refuse(lock, waitedSeconds);
    await sleep(lock.pauseMilliseconds * (0.5 + Math.random() / 2));
  }
}

function refuse({ name, place }: Lock, waitedSeconds: number): never {
  throw new StoreError(
    `The lock "${name}" stayed held by another process for the ${Math.round(waitedSeconds)} seconds that were waited. Run again when the other \`pulumi up\` or build is done. If there is none, on any machine that shares the store, remove ${place}.`,
  );
}
