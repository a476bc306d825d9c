/** Reading objects to their end, though connections break. */

import { setTimeout as sleep } from "node:timers/promises";
import type { OpenObject } from "./bucket.ts";

/** How often in a row a body that breaks off is asked for again, from where it broke. */
const resumptions = 5;
const resumptionPauseMilliseconds = 500;

/** Bytes as a client hands them out. */
export type ObjectBody = AsyncIterable<Uint8Array>;

/**
 * The bytes of an object of that size, of which the first answer may break off.
 *
 * @param from asks for the rest of the same bytes, behind as many as there were
 * @throws what broke it off, when that happens too often, and what `from` throws.
 */
export async function* unbroken(
  first: ObjectBody,
  sizeBytes: number,
  from: (position: number) => Promise<ObjectBody>,
): AsyncGenerator<Uint8Array> {
  let body = first;
  let position = 0;
  for (let failures = 0; ; ) {
    try {
      for await (const chunk of body) {
        position += chunk.length;
        failures = 0;
        yield chunk;
      }
      if (position >= sizeBytes) return;
      throw Object.assign(new Error("It broke off."), { code: "ECONNRESET" });
    } catch (error) {
      // Behind the end there is nothing to ask for.
      const isAtEnd = position >= sizeBytes;
      if (isAtEnd || ++failures > resumptions) throw error;
      await sleep(resumptionPauseMilliseconds * failures * Math.random());
    }
    body = await from(position);
  }
}

/** All bytes of what was opened. */
export async function wholeOf({
  etag,
  chunks,
}: OpenObject): Promise<{ readonly etag: string; readonly bytes: Uint8Array }> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return { etag, bytes: Buffer.concat(parts) };
}
