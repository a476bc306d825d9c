/** How much heavy work (builds, conversions, boot checks) this machine does at the same time. */

import { availableParallelism } from "node:os";
import PQueue from "p-queue";
import { UserError } from "../errors.ts";

const slots = new PQueue({ concurrency: availableParallelism() });

/** A piece of work's place among those that a core each is there for. */
export interface Turn {
  /** Leaves the place to other work, while this one only waits for something. */
  pass(): void;
  /** Resolves when there is a place again; it comes before work that has not begun. */
  regain(): Promise<void>;
}

/** Memory promised to work that is under way. */
let promisedMiB = 0;
/** Memory that was available before any of that work began. */
let capacityMiB = 0;
const waiting: (() => void)[] = [];

/**
 * Runs a piece of heavy work when a core and the memory for it are free. Pulumi starts everything that does
 * not depend on each other at once, in one process: this keeps it from choking the machine.
 *
 * @param what named in the error
 * @param memoryMiB what the work needs at its peak, also while it has passed its turn
 * @throws {UserError} when the machine could not do it even with nothing else under way.
 */
export async function withCapacity<T>(
  what: string,
  memoryMiB: number,
  work: (turn: Turn) => Promise<T>,
): Promise<T> {
  // Memory first: what waits for it must not hold a place that work which has memory needs to go on.
  await claimMemory(what, memoryMiB);
  const turn = new QueuedTurn();
  try {
    await turn.take(0);
    return await work(turn);
  } finally {
    turn.end();
    promisedMiB -= memoryMiB;
    waiting.splice(0).forEach((wake) => {
      wake();
    });
  }
}

class QueuedTurn implements Turn {
  pass: () => void = () => {};
  #isOver = false;

  regain(): Promise<void> {
    return this.take(1);
  }

  take(priority: number): Promise<void> {
    return new Promise((taken) => {
      const hold = async () => {
        // Work may end while it waits for its turn.
        if (this.#isOver) return;
        await new Promise<void>((pass) => {
          this.pass = pass;
          taken();
        });
      };
      void slots.add(hold, { priority });
    });
  }

  end(): void {
    this.#isOver = true;
    this.pass();
  }
}

async function claimMemory(what: string, memoryMiB: number): Promise<void> {
  while (promisedMiB > 0 && promisedMiB + memoryMiB > capacityMiB) {
    await new Promise<void>((wake) => waiting.push(wake));
  }
  if (promisedMiB === 0) capacityMiB = availableMemoryMiB();
  if (promisedMiB === 0 && memoryMiB > capacityMiB) {
    throw new UserError(
      `${what} needs ${memoryMiB} MiB of memory, and ${capacityMiB} MiB are available. ` +
        "Free memory, use a larger machine, or lower memoryMiB in its definition.",
    );
  }
  promisedMiB += memoryMiB;
}

/** What this process and its children can still use without swapping, a control group's limit considered. */
export function availableMemoryMiB(): number {
  return Math.floor(process.availableMemory() / 1024 ** 2);
}
