/**
 * One request by HTTP. Node's own client instead of `fetch`: that sends streams without their length, which Glance
 * behind uWSGI does not take, and knows no authority of a single cloud.
 */

import { type ClientRequest, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { text } from "node:stream/consumers";
import type { TlsSettings } from "./cloud.ts";

/** What is sent. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | FileBody | undefined;
}

/** A file that is sent as fast as it is taken. */
export interface FileBody {
  readonly sizeBytes: number;
  /** In pieces. Each has been handed on when the next one is asked for, which may use its memory again. */
  readonly chunks: AsyncIterable<Buffer>;
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A server that sends no byte, and takes none, for that long has gone. */
class SilentServerError extends Error {
  override name = "SilentServerError";
  readonly code = "ETIMEDOUT";
}

/** A connection that ended before all was sent. */
class BrokenConnectionError extends Error {
  override name = "BrokenConnectionError";
  readonly code = "ECONNRESET";
}

/**
 * Makes one request.
 *
 * @param silenceSeconds how long a connection may rest
 * @throws the system's error of a connection that fails or breaks; an answer of any status is none.
 */
export function sendRequest(
  { method, url, headers, body }: HttpRequest,
  { ca, verify }: TlsSettings,
  silenceSeconds: number,
): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const sizeBytes =
    typeof body === "string" ? Buffer.byteLength(body) : body?.sizeBytes;
  const request = (
    new URL(url).protocol === "https:" ? secureRequest : plainRequest
  )(url, {
    method,
    headers: {
      accept: "application/json",
      ...(sizeBytes === undefined
        ? {}
        : { "content-length": String(sizeBytes) }),
      ...headers,
    },
    ...(ca === undefined ? {} : { ca }),
    rejectUnauthorized: verify,
  });
  let isAnswered = false;
  const fail = (error: unknown) => {
    // A server that has refused stops reading: what it said counts.
    if (!isAnswered) reject(error);
  };
  request.setTimeout(silenceSeconds * 1000, () =>
    request.destroy(
      new SilentServerError(`silent for ${silenceSeconds} seconds`),
    ),
  );
  request.on("error", fail);
  request.once("response", async (response) => {
    isAnswered = true;
    const { statusCode: status = 0, headers } = response;
    const said = await text(response).catch(() => "");
    // Its file may not have been wanted to its end.
    if (!request.writableEnded) request.destroy();
    resolve({ status, headers, text: said });
  });
  if (typeof body === "object") sendChunks(body.chunks, request).catch(fail);
  else request.end(body);
  return promise;
}

async function sendChunks(
  chunks: AsyncIterable<Buffer>,
  request: ClientRequest,
): Promise<void> {
  for await (const chunk of chunks) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A piece that waits when the connection ends is never reported on.
    const closed = () => reject(new BrokenConnectionError("it was closed"));
    request.once("close", closed);
    request.write(chunk, (error) => (error ? reject(error) : resolve()));
    await promise.finally(() => request.off("close", closed));
  }
  request.end();
}
