/** Calls to a container that outlast a token that ran out: the SDK itself asks again for all else that passes. */

import type { ContainerClient } from "@azure/storage-blob";
import type { BlobAccess } from "./access.ts";
import { containerClient, type Retries, usualRetries } from "./clients.ts";
import { blobFailure, failureKind } from "./failures.ts";

/** A client that was made, and whether its credentials ever were good. */
interface Generation {
  readonly container: ContainerClient;
  hasSucceeded: boolean;
}

export class ContainerCaller {
  readonly access: BlobAccess;
  readonly #retries: Retries;
  #current: Promise<Generation>;

  constructor(access: BlobAccess, retries: Retries = usualRetries) {
    this.access = access;
    this.#retries = retries;
    this.#current = this.#newGeneration();
    // Whoever calls hears of it.
    this.#current.catch(() => {});
  }

  /**
   * Makes one call.
   *
   * @param attempt what is tried, such as `read images/x`, for messages
   * @param send must be harmless when done twice
   * @param isExpected of errors that the caller knows what to do about: they are thrown as they are
   * @throws {UserError} when the credentials may not do it, or have run out for good.
   * @throws {PublicationError} when Azure refuses, or does not answer for too long.
   */
  async call<T>(
    attempt: string,
    send: (container: ContainerClient) => Promise<T>,
    isExpected: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    try {
      return await this.#attempt(send);
    } catch (error) {
      if (isExpected(error)) throw error;
      throw blobFailure(attempt, this.access, error);
    }
  }

  async #attempt<T>(
    send: (container: ContainerClient) => Promise<T>,
  ): Promise<T> {
    const generation = this.#current;
    const used = await generation;
    try {
      const result = await send(used.container);
      used.hasSucceeded = true;
      return result;
    } catch (error) {
      if (failureKind(error) !== "expired") throw error;
      // Calls side by side expire together: the first one fetches, for all of them.
      if (generation === this.#current) {
        if (!used.hasSucceeded) throw error;
        this.#current = this.#newGeneration();
      }
    }
    const renewed = await this.#current;
    const result = await send(renewed.container);
    renewed.hasSucceeded = true;
    return result;
  }

  async #newGeneration(): Promise<Generation> {
    const container = await containerClient(this.access, this.#retries);
    return { container, hasSucceeded: false };
  }
}
