/**
 * Locks in a bucket: an object that is there while the lock is held, and that its holder writes anew all the time.
 *
 * Every step is a conditional write, so that one of many gets the lock. No clocks are compared: a waiter takes a lock over
 * when it saw the very same object for a whole lease by its own clock, and a holder takes its lock for lost a whole lease
 * after it last began to renew it, which is before any waiter saw that renewal.
 */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Bucket } from "./bucket.ts";
import type { HeldLock, Lock } from "./lock.ts";

/** A holder that renewed nothing for so long is dead, or too slow to be trusted. */
export const defaultLeaseSeconds = 30;

/** Renewals in a lease: one or two may fail on a bad network. */
const renewalsPerLease = 4;

/** A request for each look: often enough to go on soon, and a lock that is held for an hour costs a cent to wait for. */
const pauseMilliseconds = 500;

const holdingSchema = z.object({
  /** Of this taking of the lock, not of the process. */
  token: z.string(),
  /** After so long without a renewal it may be taken over. */
  leaseSeconds: z.number().positive(),
});

/** The lock that is an object. @param leaseSeconds of whoever takes it by this */
export function bucketLock(
  name: string,
  objects: Bucket,
  key: string,
  leaseSeconds: number,
): Lock {
  const taking = new Taking(objects, key, leaseSeconds);
  return {
    name,
    place: objects.addressOf(key),
    pauseMilliseconds,
    attempt: () => taking.attempt(),
  };
}

/** What is known of somebody else's lock. */
interface Sighting {
  readonly etag: string;
  readonly sinceMilliseconds: number;
}

/** One process's way to a lock, from the first attempt to giving it back. */
class Taking {
  readonly #objects: Bucket;
  readonly #key: string;
  readonly #leaseSeconds: number;
  readonly #token = randomUUID();
  #renewals = 0;
  #seen: Sighting | undefined;

  constructor(objects: Bucket, key: string, leaseSeconds: number) {
    this.#objects = objects;
    this.#key = key;
    this.#leaseSeconds = leaseSeconds;
  }

  async attempt(): Promise<HeldLock | undefined> {
    const present =
      this.#seen === undefined ? undefined : await this.#present();
    if (present === undefined) return this.#take("absent");
    const { etag, leaseSeconds } = present;
    if (this.#seen?.etag !== etag) {
      this.#seen = { etag, sinceMilliseconds: performance.now() };
      return undefined;
    }
    const ageMilliseconds = performance.now() - this.#seen.sinceMilliseconds;
    return ageMilliseconds > leaseSeconds * 1000
      ? this.#take({ etag })
      : undefined;
  }

  async #take(
    condition: "absent" | { readonly etag: string },
  ): Promise<HeldLock | undefined> {
    const beganMilliseconds = performance.now();
    const etag = await this.#write(condition);
    if (etag !== undefined) return this.#hold(etag, beganMilliseconds);
    const present = await this.#present();
    this.#seen = present && {
      etag: present.etag,
      sinceMilliseconds: performance.now(),
    };
    return undefined;
  }

  /**
   * Writes the lock object, each time another one.
   *
   * @returns its ETag, or `undefined` when the lock is somebody else's
   */
  async #write(
    condition: "absent" | { readonly etag: string },
  ): Promise<string | undefined> {
    const holding = {
      token: this.#token,
      leaseSeconds: this.#leaseSeconds,
      renewals: this.#renewals++,
      // For people who wonder whose it is.
      host: hostname(),
      pid: process.pid,
    };
    const text = JSON.stringify(holding);
    const etag = await this.#objects.write(this.#key, text, {}, condition);
    if (etag !== undefined) return etag;
    // A write whose answer got lost is sent again, and fails: by then the object is ours.
    const present = await this.#present();
    return present?.token === this.#token ? present.etag : undefined;
  }

  async #present() {
    const found = await this.#objects.read(this.#key);
    if (found === undefined) return undefined;
    const holding = holdingSchema.safeParse(jsonOf(found.bytes));
    // What cannot be read was written by nobody who renews it.
    const { token, leaseSeconds } = holding.data ?? {
      token: "",
      leaseSeconds: this.#leaseSeconds,
    };
    return { etag: found.etag, token, leaseSeconds };
  }

  #hold(firstEtag: string, takenMilliseconds: number): HeldLock {
    const leaseMilliseconds = this.#leaseSeconds * 1000;
    const released = new AbortController();
    let etag = firstEtag;
    let renewed = { ...now(), monotonicMilliseconds: takenMilliseconds };
    let isTaken = false;
    let isLost = false;
    // The one clock stands still while the machine sleeps, the other may be set.
    const isOld = () => {
      const { monotonicMilliseconds, wallMilliseconds } = now();
      const age = Math.max(
        monotonicMilliseconds - renewed.monotonicMilliseconds,
        wallMilliseconds - renewed.wallMilliseconds,
      );
      return age > leaseMilliseconds;
    };

    const keepRenewing = async () => {
      // A renewal that comes late, and succeeds, shows that nobody had the lock meanwhile.
      while (!isTaken && !isLost) {
        const pause = leaseMilliseconds / renewalsPerLease;
        // Aborted when the lock is given back.
        await sleep(pause, undefined, { signal: released.signal, ref: false });
        const began = now();
        const written = await this.#write({ etag }).catch(() => etag);
        if (written === undefined) isTaken = true;
        else if (written !== etag) {
          etag = written;
          renewed = began;
        }
      }
    };
    const renewing = keepRenewing().catch((error: unknown) => {
      if (!released.signal.aborted) throw error;
    });

    return {
      lost: () => {
        if (isTaken) return "somebody took it over, or removed it";
        // Who was told that it is lost does not get it back.
        isLost ||= isOld();
        return isLost
          ? `it could not be renewed for ${this.#leaseSeconds} seconds: this process stood still, or the network was away`
          : undefined;
      },
      release: async () => {
        released.abort();
        await renewing;
        // One that cannot be given back runs out by itself, and what was done under it is done.
        if (!isTaken) {
          await this.#objects.remove(this.#key, etag).catch(() => {});
        }
      },
    };
  }
}

function now() {
  return {
    monotonicMilliseconds: performance.now(),
    wallMilliseconds: Date.now(),
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
