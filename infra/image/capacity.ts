/** How much heavy work (builds, conversions, boot checks) this machine does at the same time. */

import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import { UserError } from "../errors.ts";

const slots = pLimit(availableParallelism());

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
 * @param memoryMiB what the work needs at its peak
 * @throws {UserError} when the machine could not do it even with nothing else under way.
 */
export function withCapacity<T>(
  what: string,
  memoryMiB: number,
  work: () => Promise<T>,
): Promise<T> {
  return slots(async () => {
    await claimMemory(what, memoryMiB);
    try {
      return await work();
    } finally {
      promisedMiB -= memoryMiB;
      waiting.splice(0).forEach((wake) => {
        wake();
      });
    }
  });
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
