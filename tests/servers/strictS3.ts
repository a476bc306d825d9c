/**
 * S3 as strict as it is at Amazon, where moto is not: bytes without a checksum or with a wrong one, conditional writes at
 * the same moment, the region that a call is signed for; and the checksum of an object in parts ends in their number.
 */

import { createHash } from "node:crypto";
import {
  type ApiAnswer,
  type ApiCall,
  apiError,
  type Forward,
  isCall,
  type ProxyRule,
} from "./awsProxy.ts";

const checksumHeader = "x-amz-checksum-sha256";

export class StrictS3 implements ProxyRule {
  readonly #region: string;
  /** Paths of objects that came in parts, and how many. */
  readonly #parts = new Map<string, number>();
  /** moto looks and writes in two steps: conditional writes go one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param region in which all buckets are */
  constructor(region: string) {
    this.#region = region;
  }

  readonly matches = isCall("s3");

  act(call: ApiCall, forward: Forward): ApiAnswer | Promise<ApiAnswer> {
    if (call.region !== this.#region) {
      return apiError(
        call,
        400,
        "AuthorizationHeaderMalformed",
        `The authorization header is malformed; expecting '${this.#region}'.`,
        { Region: this.#region },
      );
    }
    const isConditional =
      "if-match" in call.headers || "if-none-match" in call.headers;
    if (!isConditional) return this.#act(call, forward);
    const answer = this.#turn.then(() => this.#act(call, forward));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async #act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const path = call.path.split("?")[0] ?? "";
    const isBytes = call.method === "PUT" && path.split("/").length > 2;
    const isCopy = "x-amz-copy-source" in call.headers;
    if (isBytes && !isCopy) {
      const fault = faultOf(call);
      if (fault !== undefined) return fault;
    }
    const answer = await forward(call);
    if (answer === "cut" || answer.status >= 300) return answer;
    if (isBytes && !call.parameters.has("uploadId")) this.#parts.delete(path);
    if (call.method === "POST" && call.parameters.has("uploadId")) {
      const parts = call.body.toString().match(/<Part>/g) ?? [];
      this.#parts.set(path, parts.length);
    }
    const parts = this.#parts.get(path);
    const checksum = answer.headers[checksumHeader];
    if (call.method !== "HEAD" || parts === undefined || !checksum)
      return answer;
    const headers = {
      ...answer.headers,
      [checksumHeader]: `${checksum}-${parts}`,
    };
    return { ...answer, headers };
  }
}

function faultOf(call: ApiCall): ApiAnswer | undefined {
  const checksum = call.headers[checksumHeader];
  if (checksum === undefined) {
    return apiError(call, 400, "InvalidRequest", "There is no checksum.");
  }
  const actual = createHash("sha256").update(call.body).digest("base64");
  return actual === checksum
    ? undefined
    : apiError(call, 400, "BadDigest", "The checksum did not match.");
}
