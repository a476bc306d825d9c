/** The one part of GitLab's API that tells of runners, strictly: token, scope and role decide as in GitLab. */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export class RunnerStates implements AsyncDisposable {
  readonly token = "glpat-runner-states";
  /** Ids to last contacts: an ISO date, or `null` before the first. */
  readonly contacts = new Map<string, string | null>();
  /** Ids to last contacts of a runner's machines, gone ones included; one for a runner that has none here. */
  readonly managers = new Map<string, readonly (string | null)[]>();
  /** Whether it is a GitLab that does not tell of managers yet. */
  isOld = false;
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
      const [, id, managers] =
        /^\/api\/v4\/runners\/(\d+)(\/managers)?$/.exec(url) ?? [];
      const contact = this.contacts.get(id ?? "");
      const isUnknown =
        method !== "GET" || id === undefined || contact === undefined;
      if (isUnknown || (managers !== undefined && this.isOld)) {
        answer(404, { message: "404 Not found" });
        return;
      }
      answer(
        200,
        managers === undefined
          ? { id: Number(id), ...contacted(contact) }
          : this.#managersOf(id, contact),
      );
    });
  }

  #managersOf(id: string, contact: string | null): readonly object[] {
    const contacts =
      this.managers.get(id) ?? (contact === null ? [] : [contact]);
    return contacts.map((each, index) => ({
      id: index + 1,
      system_id: `s_${id}${index}`,
      version: "18.4.0",
      ...contacted(each),
    }));
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

/** GitLab's words for a contact: online for two hours, stale after a week. */
function contacted(contact: string | null): object {
  const hours =
    contact === null ? undefined : (Date.now() - Date.parse(contact)) / 3.6e6;
  const status =
    hours === undefined
      ? "never_contacted"
      : hours <= 2
        ? "online"
        : hours < 7 * 24
          ? "offline"
          : "stale";
  return { contacted_at: contact, status };
}
