/**
 * Ends requests on which nothing moves, for libraries that wait for ever: that of Cloud Storage does nothing about its
 * `timeout`, and that of Azure's blobs hands `tryTimeoutInMs` on to the server. Node tells of every request that is made by
 * its own client (https://nodejs.org/api/diagnostics_channel.html, http.client.request.created).
 */

import { subscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";

/**
 * How long a server may send no byte and take none: longer than the minute that Azure gives itself for its slowest calls
 * (learn.microsoft.com, "Setting timeouts for Blob service operations").
 */
export const silenceSeconds = 90;

/** A server that took a connection and fell silent. */
class SilentServerError extends Error {
  override name = "SilentServerError";
  /** Every library takes it for what passes. */
  readonly code = "ECONNRESET";
}

/** Milliseconds, by host. */
const limits = new Map<string, number>();

/**
 * Limits how long connections of requests to a host may rest, however long the requests take. Who asks is told of a
 * connection that was reset.
 *
 * @param host with its port where the address has one; hosts below it are meant, too
 */
export function limitSilence(host: string, milliseconds: number): void {
  if (limits.size === 0) subscribe("http.client.request.created", limit);
  limits.set(host, milliseconds);
}

function limit(message: unknown): void {
  const { request } = message as { readonly request: ClientRequest };
  const host = String(request.getHeader("host") ?? request.host);
  const found = [...limits].find(
    ([limited]) => host === limited || host.endsWith(`.${limited}`),
  );
  if (found === undefined) return;
  const [, milliseconds] = found;
  request.setTimeout(milliseconds, () =>
    request.destroy(
      new SilentServerError(`${host} was silent for ${milliseconds / 1000} s`),
    ),
  );
}
