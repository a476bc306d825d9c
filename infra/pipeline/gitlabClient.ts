/** GitLab's API, as far as notes and issues need it: https://docs.gitlab.com/api/rest/. */

import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import type { z } from "zod";
import { GitlabError } from "../errors.ts";

/** Where GitLab is, and who asks. */
export interface GitlabAccess {
  /** Of its API: `https://gitlab.com/api/v4`. */
  readonly apiUrl: string;
  readonly token: string;
  /** Name of the variable that has the token, for messages. */
  readonly tokenName: string;
}

/** How long is waited for GitLab. */
export interface GitlabPatience {
  /** For one answer, all of it. */
  readonly requestSeconds: number;
  /** Before another attempt where GitLab does not say; twice as long each time. */
  readonly pauseSeconds: number;
  /** When GitLab asks for a longer pause (Retry-After), the run ends and says so. */
  readonly longestPauseSeconds: number;
  readonly attempts: number;
}

/** A limit by the minute, as GitLab.com has them, is over within the longest pause. */
export const usualPatience: GitlabPatience = {
  requestSeconds: 30,
  pauseSeconds: 1,
  longestPauseSeconds: 120,
  attempts: 5,
};

/** One request. */
interface GitlabRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below the API's address, with its query: segments are encoded already. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  /** An answer that is longer is refused. */
  readonly longestBytes?: number | undefined;
}

interface GitlabAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Lists are read in pages of 100, GitLab's most; beyond this many something is wrong. */
const mostPages = 500;
const perPage = 100;

/** A page of a hundred long notes, of a million characters each. */
const longestAnswerBytes = 128 * 1024 * 1024;

/** Files of artifacts may lie elsewhere. */
const mostRedirects = 3;

/** An attempt that may be followed by another one. */
class PassingFailure extends Error {
  readonly status: number | undefined;
  readonly pauseSeconds: number | undefined;

  constructor(message: string, status?: number, pauseSeconds?: number) {
    super(message);
    this.status = status;
    this.pauseSeconds = pauseSeconds;
  }
}

export class GitlabClient {
  readonly #access: GitlabAccess;
  readonly #patience: GitlabPatience;

  constructor(
    { apiUrl, ...access }: GitlabAccess,
    patience: GitlabPatience = usualPatience,
  ) {
    this.#access = { ...access, apiUrl: apiUrl.replace(/\/+$/, "") };
    this.#patience = patience;
  }

  /** @throws {GitlabError} for every answer that is no success, naming what is missing. */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const request = { method: "GET", path } as const;
    return this.#read(request, await this.#send(request), schema);
  }

  /** All of a list, page by page, by GitLab's own links to the next one. @throws as {@link get} */
  async list<T>(
    path: string,
    schema: z.ZodType<readonly T[]>,
  ): Promise<readonly T[]> {
    const all: T[] = [];
    const joint = path.includes("?") ? "&" : "?";
    let next: string | undefined = `${path}${joint}per_page=${perPage}`;
    for (let page = 0; next !== undefined; page += 1) {
      const request = { method: "GET", path: next } as const;
      if (page === mostPages) {
        throw this.#failure(request, `it has more than ${mostPages} pages.`);
      }
      const answer = await this.#send(request);
      all.push(...this.#read(request, answer, schema));
      next = this.#nextPage(answer.headers.get("link"));
    }
    return all;
  }

  /** Changes something. @throws as {@link get} */
  async change<T>(
    method: "POST" | "PUT",
    path: string,
    body: Readonly<Record<string, unknown>>,
    schema: z.ZodType<T>,
  ): Promise<T> {
    const request = { method, path, body };
    return this.#read(request, await this.#send(request), schema);
  }

  /** Removes something; what is gone already is no error. @throws as {@link get} */
  async remove(path: string): Promise<void> {
    try {
      await this.#send({ method: "DELETE", path });
    } catch (error) {
      if (!(error instanceof GitlabError && error.status === 404)) throw error;
    }
  }

  /** A file. @throws as {@link get}, and for one that is longer. */
  async file(path: string, longestBytes: number): Promise<string> {
    const { text } = await this.#send({ method: "GET", path, longestBytes });
    return text;
  }

  async #send(request: GitlabRequest): Promise<GitlabAnswer> {
    const { attempts, pauseSeconds, longestPauseSeconds } = this.#patience;
    try {
      return await pRetry(() => this.#attempt(request), {
        retries: attempts - 1,
        minTimeout: pauseSeconds * 1000,
        maxTimeout: longestPauseSeconds * 1000,
        shouldRetry: async ({ error, retriesLeft, retryDelay }) => {
          if (!(error instanceof PassingFailure) || retriesLeft === 0) {
            return false;
          }
          const { pauseSeconds } = error;
          if (pauseSeconds === undefined) return true;
          if (pauseSeconds > longestPauseSeconds) return false;
          await sleep(Math.max(0, pauseSeconds * 1000 - retryDelay));
          return true;
        },
      });
    } catch (error) {
      if (!(error instanceof PassingFailure)) throw error;
      const { status, message, pauseSeconds } = error;
      const later =
        pauseSeconds === undefined
          ? "Look at GitLab's state, and run the job again."
          : `It asks for a pause of ${pauseSeconds} seconds. Run the job again after that.`;
      throw this.#failure(request, `${message} ${later}`, status);
    }
  }

  async #attempt(request: GitlabRequest): Promise<GitlabAnswer> {
    const { method, path, body, longestBytes } = request;
    const { apiUrl, token, tokenName } = this.#access;
    const signal = AbortSignal.timeout(this.#patience.requestSeconds * 1000);
    let url = new URL(`${apiUrl}/${path}`);
    for (let redirects = 0; ; redirects += 1) {
      const isGitlab = url.origin === new URL(apiUrl).origin;
      const answer = await this.#fetch(request, url, {
        method,
        signal,
        // fetch would carry this header along to whatever another server GitLab names.
        redirect: "manual",
        headers: {
          accept: "application/json",
          ...(isGitlab ? { "private-token": token } : {}),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const { status, headers } = answer;
      const place = headers.get("location");
      const isElsewhere = [301, 302, 303, 307, 308].includes(status);
      if (isElsewhere && place !== null) {
        await answer.body?.cancel();
        if (method !== "GET" || redirects === mostRedirects) {
          throw this.#failure(
            request,
            `it is sent on to another address. Let CI_API_V4_URL be the one that GitLab has for itself.`,
            status,
          );
        }
        url = new URL(place, url);
        continue;
      }
      const text = await this.#textOf(
        request,
        answer,
        longestBytes ?? longestAnswerBytes,
      );
      if (status >= 200 && status < 300) return { status, headers, text };
      if (isPassing(status, method)) {
        throw new PassingFailure(
          `it answers ${status}.`,
          status,
          pauseOf(headers.get("retry-after")),
        );
      }
      throw this.#failure(
        request,
        refusal(status, messageIn(text), tokenName, method),
        status,
      );
    }
  }

  async #fetch(
    { method }: GitlabRequest,
    url: URL,
    init: RequestInit,
  ): Promise<Response> {
    try {
      return await fetch(url, init);
    } catch (error) {
      const said = this.#reason(error);
      // What was sent may have been done all the same: whoever sends it looks before he sends it again.
      throw method === "POST"
        ? this.#failure({ method, path: "" }, said)
        : new PassingFailure(said);
    }
  }

  async #textOf(
    request: GitlabRequest,
    { body, headers, ok, status }: Response,
    longestBytes: number,
  ): Promise<string> {
    const tooLong = () =>
      this.#failure(
        request,
        `the answer is longer than ${longestBytes} bytes, and was not read.`,
      );
    if (Number(headers.get("content-length")) > longestBytes) {
      await body?.cancel();
      throw tooLong();
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of body ?? []) {
        bytes += chunk.length;
        // Leaving the loop ends the transfer.
        if (bytes > longestBytes) throw tooLong();
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof GitlabError) throw error;
      const said = this.#reason(error);
      if (request.method !== "POST" || !ok) throw new PassingFailure(said);
      // It is done: sent again, it would be there twice.
      throw this.#failure(
        request,
        `it answers ${status}, which is to say that it has made what was sent, and then the answer breaks off: ${said} Look there in GitLab for what is new, and run the job again: it goes on from what it finds.`,
        status,
      );
    }
    return Buffer.concat(chunks).toString("utf8");
  }

  #reason(error: unknown): string {
    if (error instanceof Error && error.name === "TimeoutError") {
      return `there is no answer after ${this.#patience.requestSeconds} seconds.`;
    }
    const { cause } = error as { cause?: { code?: string; message?: string } };
    return `it cannot be reached (${cause?.code ?? cause?.message ?? String(error)}).`;
  }

  #read<T>(
    request: GitlabRequest,
    { text }: GitlabAnswer,
    schema: z.ZodType<T>,
  ): T {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#failure(
        request,
        "what it says is not JSON. See whether the address is that of GitLab's API.",
      );
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw this.#failure(
      request,
      `its answer has another form than that of version 4 of the API (${issue?.path.map(String).join(".")}: ${issue?.message}).`,
    );
  }

  /** The path of the next page: `<https://…>; rel="next"`, only where it is the same API. */
  #nextPage(link: string | null): string | undefined {
    const [, url] = /<([^>]+)>;\s*rel="next"/.exec(link ?? "") ?? [];
    if (url === undefined) return undefined;
    const prefix = new URL(`${this.#access.apiUrl}/`);
    const next = new URL(url, prefix);
    const isHere =
      next.origin === prefix.origin &&
      next.pathname.startsWith(prefix.pathname);
    // A proxy may give GitLab another name than it has for itself.
    const path = isHere
      ? next.pathname.slice(prefix.pathname.length)
      : /\/api\/v4\/(.*)$/.exec(next.pathname)?.[1];
    return path === undefined ? undefined : `${path}${next.search}`;
  }

  #failure(
    { method, path }: Pick<GitlabRequest, "method" | "path">,
    reason: string,
    status?: number,
  ): GitlabError {
    const { apiUrl } = this.#access;
    const [bare] = path.split("?");
    return new GitlabError(
      `GitLab (${method} ${apiUrl}/${bare}): ${reason}`,
      status,
    );
  }
}

/** Too many requests were not done; with others, that is known only of those that change nothing. */
function isPassing(status: number, method: string): boolean {
  if (status === 429 || status === 503) return true;
  return method !== "POST" && [408, 500, 502, 504].includes(status);
}

/** Seconds, or a moment. */
function pauseOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter);
  const moment = Date.parse(retryAfter);
  return Number.isNaN(moment)
    ? undefined
    : Math.max(0, Math.ceil((moment - Date.now()) / 1000));
}

/** What GitLab says in its own words: `{"message": …}` or `{"error": …}`. */
function messageIn(text: string): string {
  try {
    const { message, error_description, error } = JSON.parse(text) as Record<
      string,
      unknown
    >;
    const said = message ?? error_description ?? error ?? "";
    return (typeof said === "string" ? said : JSON.stringify(said)).slice(
      0,
      500,
    );
  } catch {
    return "";
  }
}

/** What is wrong, and who puts it right. */
function refusal(
  status: number,
  message: string,
  tokenName: string,
  method: string,
): string {
  const said = `${status}${message === "" ? "" : ` (${message})`}`;
  if (status === 401) {
    return `${said}: the token in ${tokenName} has ended, was taken back, or is none. An up of the stack that declares it (cloud-images:gitlab.noteToken) makes a new one; elsewhere, put a project access token with the scope api and the role reporter into ${tokenName}. A job's own CI_JOB_TOKEN cannot write notes.`;
  }
  if (status === 403) {
    return method === "GET"
      ? `${said}: the token in ${tokenName} may not read that. It needs the scope api and the role reporter in that project.`
      : `${said}: the token in ${tokenName} may not write. It needs the scope api (read_api is not enough) and the role reporter in that project.`;
  }
  if (status === 404) {
    return `${said}: there is no such thing, or the token in ${tokenName} does not let see it. Compare the project, merge request or job in the address with GitLab's, and let the token be one of that project.`;
  }
  return `${said}.`;
}

/** An id or a path, as one segment: `group/project` becomes `group%2Fproject`. */
export function segment(text: string | number): string {
  return encodeURIComponent(text);
}
