/** Calls to AWS that outlast what passes: throttling, errors of its servers, cut connections, expired credentials. */

import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import type { AwsAccess } from "./access.ts";
import { awsFailure, failureKind } from "./failures.ts";

/** How long and how often something is tried, or looked at. */
export interface Patience {
  /** From the first attempt on. */
  readonly seconds: number;
  /** Before the second attempt; each further pause is longer, and chance has a part in all. */
  readonly firstPauseSeconds: number;
  readonly longestPauseSeconds: number;
}

/** Throttling is known to last minutes. Of a call that many others are made beside: all together stay below two calls a second for each ten of them. */
export const usualPatience: Patience = {
  seconds: 300,
  firstPauseSeconds: 0.25,
  longestPauseSeconds: 10,
};

/** A client that was made, and whether its credentials ever were good. */
interface Generation<Client> {
  readonly client: Client;
  hasSucceeded: boolean;
}

/** What else decides how a call ends. */
export interface CallOptions {
  /** Of errors that the caller knows what to do about: they are thrown as they are. */
  readonly isExpected?: (error: unknown) => boolean;
  /** Ends the waiting between attempts, too. */
  readonly signal?: AbortSignal;
}

/** Makes calls with a client of the SDK that does not try again by itself. */
export class PatientCaller<Client> {
  readonly #access: AwsAccess;
  readonly #makeClient: () => Client;
  readonly #patience: Patience;
  #current: Generation<Client>;

  /** @param makeClient is called again to get new credentials */
  constructor(
    access: AwsAccess,
    makeClient: () => Client,
    patience: Patience = usualPatience,
  ) {
    this.#access = access;
    this.#makeClient = makeClient;
    this.#patience = patience;
    this.#current = { client: makeClient(), hasSucceeded: false };
  }

  /**
   * Makes one call.
   *
   * @param task what is to be done, such as `read the snapshot snap-1`, for messages
   * @param send must be harmless when done twice
   * @throws {UserError} when the credentials have expired for good, or may not do it.
   * @throws {PublicationError} when AWS refuses, or does not answer for too long.
   */
  async call<T>(
    task: string,
    send: (client: Client) => Promise<T>,
    { isExpected = () => false, signal }: CallOptions = {},
  ): Promise<T> {
    const { seconds, firstPauseSeconds, longestPauseSeconds } = this.#patience;
    try {
      return await pRetry(() => this.#attempt(send), {
        retries: Number.POSITIVE_INFINITY,
        maxRetryTime: seconds * 1000,
        // Each pause is twice as long as the one before, and lengthened by chance, up to twice.
        minTimeout: firstPauseSeconds * 1000,
        maxTimeout: longestPauseSeconds * 1000,
        signal,
        async shouldRetry({ error, retryDelay }) {
          if (failureKind(error) !== "passing" || isExpected(error)) {
            return false;
          }
          // Also the longest pauses differ: what was refused together does not come back together.
          const jitter = Math.random() * retryDelay;
          await sleep(
            jitter,
            undefined,
            signal === undefined ? {} : { signal },
          );
          return true;
        },
      });
    } catch (error) {
      if (isExpected(error) || signal?.aborted) throw error;
      throw awsFailure(task, this.#access, error);
    }
  }

  async #attempt<T>(send: (client: Client) => Promise<T>): Promise<T> {
    const used = this.#current;
    try {
      const result = await send(used.client);
      used.hasSucceeded = true;
      return result;
    } catch (error) {
      if (failureKind(error) !== "expired") throw error;
      // Calls side by side expire together: the first one fetches, for all of them.
      if (used === this.#current) {
        if (!used.hasSucceeded) throw error;
        this.#current = { client: this.#makeClient(), hasSucceeded: false };
      }
    }
    const renewed = this.#current;
    const result = await send(renewed.client);
    renewed.hasSucceeded = true;
    return result;
  }
}
