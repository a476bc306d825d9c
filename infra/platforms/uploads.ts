/** How many files and disks are on their way at once, to all clouds together: they share a line. */

import pLimit from "p-limit";
import { z } from "zod";

export const uploadsConfigSchema = z
  .strictObject({
    atOnce: z
      .int()
      .positive()
      .max(100)
      .default(8)
      .describe(
        "How many files and disks are sent at once, to all clouds together",
      ),
  })
  .describe("Uploads to clouds");
export type UploadsConfig = z.output<typeof uploadsConfigSchema>;

/** A file that does not move for so long gives its turn to another one: a cloud that hangs holds up no other. */
export const stallSeconds = 30;

/** One process makes all of a run's uploads, and all of them say the same limit. */
const turns = pLimit(1);

/**
 * Waits for a turn.
 *
 * @returns what ends it; more than once is once
 */
async function takeTurn(atOnce: number): Promise<() => void> {
  turns.concurrency = atOnce;
  const taken = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  void turns(() => {
    taken.resolve();
    return ended.promise;
  });
  await taken.promise;
  return ended.resolve;
}

/** What an upload says of itself during its turn. */
export interface Turn {
  /** A piece was sent. */
  moved(): void;
  /** All of them were: what a cloud then takes its time for is not our line's. */
  end(): void;
}

/**
 * Runs an upload when it is its turn.
 *
 * @param atOnce how many there may be at the same time
 * @param patienceSeconds see {@link stallSeconds}
 */
export async function inTurn<T>(
  atOnce: number,
  send: (turn: Turn) => Promise<T>,
  patienceSeconds = stallSeconds,
): Promise<T> {
  const end = await takeTurn(atOnce);
  const stalled = setTimeout(end, patienceSeconds * 1000);
  try {
    return await send({ moved: () => stalled.refresh(), end });
  } finally {
    clearTimeout(stalled);
    end();
  }
}

/** Pieces of a file; who asks for one has sent those before it. */
export async function* watched(
  pieces: AsyncIterable<Buffer>,
  turn: Turn,
): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    turn.moved();
    yield piece;
  }
  turn.end();
}
