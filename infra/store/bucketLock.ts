/**
 * Locks in a bucket: an object that is there while the lock is held, and that its holder writes anew all the time.
 *
 * Every step is a conditional write, so that one of many gets the lock. No clocks are compared: a waiter takes a lock over
 * when it saw the very same object for a whole lease by its own clock, and a holder takes its lock for lost a whole lease
 * after it sent the renewal that is there, which is before any waiter saw that. Renewals are counted, in the object and by
 * its holder: the one that is there need not be the last one that was sent.
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
  /** How many times it was written before by its holder. */
  renewals: z.int().nonnegative(),
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

/** A moment by the clock that stands still while the machine sleeps, and by the one that may be set. */
interface Moment {
  readonly monotonicMilliseconds: number;
  readonly wallMilliseconds: number;
}

/** The lock object as this process wrote it. */
interface Written {
  readonly etag: string;
  readonly sentAt: Moment;
}

/** One process's way to a lock, from the first attempt to giving it back. */
class Taking {
  readonly #objects: Bucket;
  readonly #key: string;
  readonly #leaseSeconds: number;
  readonly #token = randomUUID();
  /** When each renewal was sent that may be there. */
  readonly #sent = new Map<number, Moment>();
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
    const written = await this.#write(condition);
    if (written !== undefined) return this.#hold(written);
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
   * @returns what is there now, or `undefined` when the lock is somebody else's
   */
  async #write(
    condition: "absent" | { readonly etag: string },
  ): Promise<Written | undefined> {
    const renewals = this.#renewals++;
    const sentAt = now();
    this.#sent.set(renewals, sentAt);
    const holding = {
      ...{ token: this.#token, leaseSeconds: this.#leaseSeconds, renewals },
      // For people who wonder whose it is.
      host: hostname(),
      pid: process.pid,
    };
    const text = JSON.stringify(holding);
    const etag = await this.#objects.write(this.#key, text, {}, condition);
    if (etag !== undefined) return this.#settled({ etag, sentAt }, renewals);
    // A write whose answer got lost is sent again, and fails: by then the object is ours. It may be of an earlier one.
    const present = await this.#present();
    const presentSentAt =
      present?.token === this.#token
        ? this.#sent.get(present.renewals)
        : undefined;
    return present && presentSentAt
      ? this.#settled(
          { etag: present.etag, sentAt: presentSentAt },
          present.renewals,
        )
      : undefined;
  }

  /** Forgets renewals that are no more there, nor can come to be. */
  #settled(written: Written, renewals: number): Written {
    for (const each of this.#sent.keys()) {
      if (each < renewals) this.#sent.delete(each);
    }
    return written;
  }

  async #present() {
    const found = await this.#objects.read(this.#key);
    if (found === undefined) return undefined;
    const holding = holdingSchema.safeParse(jsonOf(found.bytes));
    // What cannot be read was written by nobody who renews it.
    const { token, leaseSeconds, renewals } = holding.data ?? {
      ...{ token: "", leaseSeconds: this.#leaseSeconds, renewals: 0 },
    };
    return { etag: found.etag, token, leaseSeconds, renewals };
  }

  #hold(taken: Written): HeldLock {
    const leaseMilliseconds = this.#leaseSeconds * 1000;
    const released = new AbortController();
    let last = taken;
    let isTaken = false;
    let isLost = false;
    const isOld = () => {
      const { monotonicMilliseconds, wallMilliseconds } = now();
      const age = Math.max(
        monotonicMilliseconds - last.sentAt.monotonicMilliseconds,
        wallMilliseconds - last.sentAt.wallMilliseconds,
      );
      return age > leaseMilliseconds;
    };

    const keepRenewing = async () => {
      // A renewal that comes late, and succeeds, shows that nobody had the lock meanwhile.
      while (!isTaken && !isLost) {
        const pause = leaseMilliseconds / renewalsPerLease;
        // Aborted when the lock is given back.
        await sleep(pause, undefined, { signal: released.signal, ref: false });
        const written = await this.#write({ etag: last.etag }).catch(
          () => last,
        );
        if (written === undefined) isTaken = true;
        else last = written;
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
          await this.#objects.remove(this.#key, last.etag).catch(() => {});
        }
      },
    };
  }
}

function now(): Moment {
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
