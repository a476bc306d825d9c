/** Stands before Glance, and has some of the calls fail as they do on bad days. */

import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** What befalls a call. */
export type Fault =
  /** The connection breaks when so much of the content came by; Glance notices. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** An answer that is not Glance's, which hears nothing of the call. */
  | { readonly kind: "answer"; readonly status: number }
  /** Glance does it, and its answer gets lost. */
  | { readonly kind: "lose" }
  /** Glance does it, and something else happens before its answer comes. */
  | { readonly kind: "done"; readonly act: () => Promise<unknown> }
  /** One bit of the content is another one. */
  | { readonly kind: "corrupt" }
  /** Nobody answers. */
  | { readonly kind: "silence" }
  /** Something else happens first, or when so much of the content came by. */
  | {
      readonly kind: "meanwhile";
      readonly afterBytes: number;
      readonly act: () => Promise<unknown>;
    };

interface Rule {
  readonly method: string;
  readonly path: RegExp;
  readonly fault: Fault;
  left: number;
}

export class GlanceProxy implements AsyncDisposable {
  /** `PUT images/<id>/file`, in order. */
  readonly calls: string[] = [];
  readonly url: string;
  readonly #server: Server;
  readonly #glance: string;
  #rules: Rule[] = [];

  private constructor(server: Server, glance: string) {
    this.#server = server;
    this.#glance = glance;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming, response) =>
      this.#answer(incoming, response),
    );
  }

  static async start(glance: string): Promise<GlanceProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new GlanceProxy(server, glance);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Has the next calls of a kind fail; `path` is what follows `/v2/`. */
  fail(method: string, path: RegExp, fault: Fault, times = 1): void {
    this.#rules.push({ method, path, fault, left: times });
  }

  reset(): void {
    this.#rules = [];
    this.calls.length = 0;
  }

  #answer(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = "", url = "", headers } = incoming;
    const path = url.replace(/^\/v2\//, "");
    this.calls.push(`${method} ${path.replace(/\?.*/, "")}`);
    const rule = this.#rules.find(
      (rule) => rule.left > 0 && rule.method === method && rule.path.test(path),
    );
    if (rule !== undefined) rule.left--;
    const fault = rule?.fault;
    if (fault?.kind === "silence") return;
    if (fault?.kind === "answer") {
      incoming.once("data", () => {}).resume();
      response
        .writeHead(fault.status, { "content-type": "text/html" })
        .end(`<html><h1>${fault.status}</h1>Not today.</html>`);
      return;
    }
    const onward = request(`${this.#glance}${url}`, { method, headers });
    onward.once("error", () => response.destroy());
    onward.once("response", async (answer) => {
      if (fault?.kind === "done") await fault.act();
      if (fault?.kind === "lose") {
        response.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    void forward(incoming, onward, fault).catch(() => {
      onward.destroy();
      incoming.destroy();
    });
  }
}

/** Hands the content on, as far as the fault lets it come. */
async function forward(
  incoming: IncomingMessage,
  onward: ReturnType<typeof request>,
  fault: Fault | undefined,
): Promise<void> {
  let bytes = 0;
  let isDone = false;
  const strike = async () => {
    if (isDone || fault === undefined || !("afterBytes" in fault)) return;
    if (bytes < fault.afterBytes) return;
    isDone = true;
    if (fault.kind === "cut") throw new Error("cut");
    await fault.act();
  };
  await strike();
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (fault?.kind === "corrupt" && !isDone) {
      isDone = true;
      chunk[0] = (chunk[0] ?? 0) ^ 1;
    }
    await strike();
    if (!onward.write(chunk)) await once(onward, "drain");
  }
  onward.end();
}
