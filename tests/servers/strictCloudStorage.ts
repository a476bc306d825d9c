/**
 * Cloud Storage as strict as it is at Google, where the emulator is not: conditions on generations, bytes without a
 * checksum, which generation was read, and what is missing. The JSON API: https://cloud.google.com/storage/docs/json_api
 */

import {
  type ApiAnswer,
  type ApiCall,
  type Forward,
  isCall,
  jsonAnswer,
  type ProxyRule,
} from "./apiProxy.ts";

/** What the emulator says where nothing is. */
export const emptyRange = "bytes=0-0";

/** What is looked at in an object's metadata. */
interface ObjectResource {
  readonly generation: string;
  readonly size: string;
}

export class StrictCloudStorage implements ProxyRule {
  /** The emulator looks and writes in two steps: calls go one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  readonly matches = isCall("gcs");

  act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const answer = this.#turn.then(() => this.#act(call, forward));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async #act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { parameters, action } = call;
    const bucket = /\/b\/([^/]+)/.exec(call.path)?.[1] ?? "";
    const ask = async (path: string) =>
      forward({
        ...call,
        method: "GET",
        path: `/storage/v1/b/${bucket}${path}`,
        headers: {},
        body: Buffer.alloc(0),
      });
    const there = await ask("");
    if (there === "cut" || there.status === 404) {
      return cloudStorageError(
        404,
        "notFound",
        "The specified bucket does not exist.",
      );
    }
    const key = objectOf(call.path);
    const missing = cloudStorageError(
      404,
      "notFound",
      `No such object: ${bucket}/${key}`,
    );
    const found =
      key === undefined
        ? undefined
        : resourceIn(
            withMicroseconds(await ask(`/o/${encodeURIComponent(key)}`)),
          );
    const wanted = parameters.get("ifGenerationMatch");
    if (action === "DELETEObject" && found === undefined) return missing;
    if (wanted !== null && wanted !== (found?.generation ?? "0")) {
      return cloudStorageError(
        412,
        "conditionNotMet",
        "At least one of the pre-conditions you specified did not hold.",
      );
    }
    const generation = parameters.get("generation");
    if (generation !== null && generation !== found?.generation) return missing;
    const isStart = ["PutObject", "CreateMultipartUpload"].includes(action);
    if (isStart && !/"crc32c":"[^"]+"/.test(call.body.toString("latin1"))) {
      return cloudStorageError(400, "invalid", "There is no checksum.");
    }
    const answer = withoutEmptyRange(withMicroseconds(await forward(call)));
    if (answer === "cut") return answer;
    if (answer.status === 404) return missing;
    if (action !== "GetObject" || answer.status >= 300) return answer;
    const headers = {
      ...answer.headers,
      "x-goog-generation": found?.generation ?? "",
      "x-goog-stored-content-length": String(found?.size ?? ""),
    };
    return { ...answer, headers };
  }
}

/** The object that a call is about, or `undefined` when it is about none. */
export function objectOf(path: string): string | undefined {
  const { pathname, searchParams } = new URL(path, "http://any");
  const [, key] = /^\/storage\/v1\/b\/[^/]+\/o\/(.+)$/.exec(pathname) ?? [];
  if (key !== undefined) return decodeURIComponent(key);
  return searchParams.get("name") ?? undefined;
}

/** An error as the JSON API words it. */
export function cloudStorageError(
  code: number,
  reason: string,
  message: string,
): ApiAnswer {
  const errors = [{ domain: "global", reason, message }];
  return jsonAnswer(code, { error: { code, message, errors } });
}

function resourceIn(answer: ApiAnswer): ObjectResource | undefined {
  return answer === "cut" || answer.status >= 300
    ? undefined
    : (JSON.parse(answer.body.toString()) as ObjectResource);
}

/** Of an upload of which nothing has arrived, Cloud Storage names no range. */
function withoutEmptyRange(answer: ApiAnswer): ApiAnswer {
  if (answer === "cut" || answer.headers.range !== emptyRange) return answer;
  const { range: _, ...headers } = answer.headers;
  return { ...answer, headers };
}

/** Generations are microseconds, which fit into a number; those of the emulator, nanoseconds, do not. */
function withMicroseconds(answer: ApiAnswer): ApiAnswer {
  if (answer === "cut") return answer;
  const isJson = /json/.test(answer.headers["content-type"] ?? "");
  if (!isJson) return answer;
  const text = answer.body.toString();
  const body = text.replace(/("generation":\s*"\d{16})\d{3}"/g, '$1"');
  return { ...answer, body: Buffer.from(body) };
}
