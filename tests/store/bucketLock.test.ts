/** Who believes to have a lock, and when, where answers get lost and the network goes away. */

import { expect, it } from "vitest";
import { StoreError } from "../../infra/errors.ts";
import type { Bucket, WriteCondition } from "../../infra/store/bucket.ts";
import { bucketLock } from "../../infra/store/bucketLock.ts";

const leaseSeconds = 1;

/** What a lock needs of a bucket, in memory; what befalls each of a holder's writes is for a test to say. */
class MemoryBucket {
  #object: { readonly etag: string; readonly bytes: Uint8Array } | undefined;
  #etags = 0;

  /** @param fate of the n-th write, from 0 on: it may be done and its answer lost, or never arrive */
  seenBy(fate: (write: number) => "done" | "lost" | "away"): Bucket {
    let writes = 0;
    const away = () =>
      Promise.reject(new StoreError("The bucket cannot be reached."));
    let isAway = false;
    return {
      addressOf: (key) => `memory:${key}`,
      read: async () => (isAway ? away() : this.#object),
      write: async (
        _key,
        bytes: string | Uint8Array,
        _headers,
        condition?: WriteCondition,
      ) => {
        const end = fate(writes++);
        isAway = end === "away";
        if (isAway) return away();
        const isMet =
          condition === "absent"
            ? this.#object === undefined
            : condition?.etag === this.#object?.etag;
        if (!isMet) return undefined;
        const etag = String(++this.#etags);
        this.#object = { etag, bytes: Buffer.from(bytes) };
        return end === "lost" ? away() : etag;
      },
      remove: async (_key, etag) => {
        if (this.#object?.etag === etag) this.#object = undefined;
      },
    } as Pick<Bucket, "addressOf" | "read" | "write" | "remove"> as Bucket;
  }
}

async function until<T>(
  look: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

it("a lock is believed for a lease from when the renewal was sent that is there", async () => {
  const bucket = new MemoryBucket();
  // The first renewal arrives and its answer does not; the next one finds it, and then the network is away.
  const unlucky = bucket.seenBy((write) =>
    write === 1 ? "lost" : write < 3 ? "done" : "away",
  );
  const lucky = bucket.seenBy(() => "done");
  const lockOf = (objects: Bucket) =>
    bucketLock("door", objects, "door", leaseSeconds);
  const held = await lockOf(unlucky).attempt();
  const waiting = lockOf(lucky);
  const next = await until(() => waiting.attempt());
  // The first one knows that it is none any more, before there is a second one.
  expect(held?.lost()).toMatch(/could not be renewed/);
  expect(next.lost()).toBeUndefined();
  await held?.release();
  await next.release();
});

it("a lock whose every second answer gets lost stays with its holder", async () => {
  const bucket = new MemoryBucket();
  const unlucky = bucket.seenBy((write) => (write % 2 === 1 ? "lost" : "done"));
  const held = await bucketLock("door", unlucky, "door", 1).attempt();
  const waiting = bucketLock(
    ...(["door", bucket.seenBy(() => "done"), "door", 1] as const),
  );
  const end = performance.now() + 3000;
  await until(async () => {
    expect(await waiting.attempt()).toBeUndefined();
    expect(held?.lost()).toBeUndefined();
    return performance.now() > end ? true : undefined;
  });
  await held?.release();
  await (await until(() => waiting.attempt())).release();
});
