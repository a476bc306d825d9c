/** The one part of GitLab's API that tells of runners, strictly: token, scope and role decide as in GitLab. */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export class RunnerStates implements AsyncDisposable {
  readonly token = "glpat-runner-states";
  /** Ids to last contacts: an ISO date, or `null` before the first. */
  readonly contacts = new Map<string, string | null>();
  /** Answers before the next good one, by status. */
  readonly refusals: number[] = [];
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(({ url = "", method, headers }, response) => {
      this.asked.push(`${method} ${url}`);
      const answer = (
        status: number,
        body: object,
        more: Record<string, string> = {},
      ) =>
        response
          .writeHead(status, { "content-type": "application/json", ...more })
          .end(JSON.stringify(body));
      const refusal = this.refusals.shift();
      if (refusal !== undefined) {
        answer(refusal, { message: "Retry later" }, { "retry-after": "0" });
        return;
      }
      if (headers["private-token"] !== this.token) {
        answer(401, { message: "401 Unauthorized" });
        return;
      }
      const [, id] = /^\/api\/v4\/runners\/(\d+)$/.exec(url) ?? [];
      const contact = this.contacts.get(id ?? "");
      if (method !== "GET" || id === undefined || contact === undefined) {
        answer(404, { message: "404 Not found" });
        return;
      }
      const status = contact === null ? "never_contacted" : "online";
      answer(200, { id: Number(id), contacted_at: contact, status });
    });
  }

  static async start(): Promise<RunnerStates> {
    const states = new RunnerStates();
    states.#server.listen(0, "127.0.0.1");
    await once(states.#server, "listening");
    return states;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
