/**
 * How many files are on their way at once, to all clouds together: they share a line. Disks that go block by block, to
 * EC2 and Azure, keep to limits of their own.
 */

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
        "How many files are sent at once, to all clouds of OpenStack and projects of Google together",
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

/**
 * Runs an upload when it is its turn. The turn ends with the last piece: what a cloud then takes its time for is not
 * our line's.
 *
 * @param atOnce how many there may be at the same time
 * @param chunks what is sent, in pieces; `send` gets it with an eye on it
 * @param patienceSeconds see {@link stallSeconds}
 */
export async function inTurn<T>(
  atOnce: number,
  chunks: AsyncIterable<Buffer>,
  send: (chunks: AsyncIterable<Buffer>) => Promise<T>,
  patienceSeconds = stallSeconds,
): Promise<T> {
  const end = await takeTurn(atOnce);
  const stalled = setTimeout(end, patienceSeconds * 1000);
  try {
    return await send(watched(chunks, end, stalled));
  } finally {
    clearTimeout(stalled);
    end();
  }
}

async function* watched(
  chunks: AsyncIterable<Buffer>,
  end: () => void,
  stalled: NodeJS.Timeout,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    stalled.refresh();
    yield chunk;
  }
  end();
}
