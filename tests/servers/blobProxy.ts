/** Stands before Azurite: refuses what Azure refuses and Azurite takes, and has some calls fail as on bad days. */

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
  /** An answer that is not Azurite's, which hears nothing of the call. */
  | { readonly kind: "answer"; readonly status: number; readonly code: string }
  /** It is heard, and that is all. */
  | { readonly kind: "silent" }
  /** Azurite does it, and its answer gets lost. */
  | { readonly kind: "lose" }
  /** One bit of what is sent is another one. */
  | { readonly kind: "corrupt" }
  /** One bit of what is read is another one. */
  | { readonly kind: "misread" }
  /** Something else happens first. */
  | { readonly kind: "meanwhile"; readonly act: () => Promise<unknown> };

interface Rule {
  readonly call: RegExp;
  readonly fault: Fault;
  skip: number;
  left: number;
}

/** The most that one Put Page takes, and the largest blob of pages. */
const mostPutBytes = 4 * 1024 ** 2;
const mostBlobBytes = 8 * 1024 ** 4;

/** Calls that change nothing. */
const reading = /^(GET|HEAD) /;

export class BlobProxy implements AsyncDisposable {
  /** `PUT page container/name`, in order. */
  readonly calls: string[] = [];
  /** Bytes of pages that were sent, refused ones included. */
  sentBytes = 0;
  readonly url: string;
  readonly #server: Server;
  readonly #azurite: string;
  #rules: Rule[] = [];

  private constructor(server: Server, azurite: string) {
    this.#server = server;
    this.#azurite = azurite;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming, response) => {
      this.#answer(incoming, response).catch(() => response.destroy());
    });
  }

  static async start(azurite: string): Promise<BlobProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new BlobProxy(server, azurite);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** The calls that changed something, in order. */
  get writes(): readonly string[] {
    return this.calls.filter((call) => !reading.test(call));
  }

  /** Has the next calls of a kind fail, after so many that go well. */
  fail(call: RegExp, fault: Fault, { times = 1, after = 0 } = {}): void {
    this.#rules.push({ call, fault, left: times, skip: after });
  }

  reset(): void {
    this.#rules = [];
    this.calls.length = 0;
    this.sentBytes = 0;
  }

  async #answer(
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = "", headers } = incoming;
    const url = new URL(incoming.url ?? "", this.url);
    const name = url.pathname.split("/").slice(2).join("/");
    const comp = url.searchParams.get("comp");
    const call = `${method}${comp === null ? "" : ` ${comp}`} ${name}`;
    this.calls.push(call);
    const body = Buffer.concat(await incoming.toArray());
    if (method === "PUT" && comp === "page") this.sentBytes += body.length;
    const fault = this.#faultOf(call);
    if (fault?.kind === "silent") return;
    if (fault?.kind === "meanwhile") await fault.act();
    if (fault?.kind === "corrupt") body[0] = (body[0] ?? 0) ^ 1;
    const refused =
      fault?.kind === "answer"
        ? ([fault.status, fault.code] as const)
        : refusal(method, comp, body.length, headers);
    if (refused !== undefined) return refuse(response, ...refused);

    const onward = request(`${this.#azurite}${incoming.url}`, {
      ...{ method, headers },
    });
    onward.once("error", () => response.destroy());
    onward.end(body);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    const content = Buffer.concat(await answer.toArray());
    if (fault?.kind === "lose") {
      response.destroy();
      return;
    }
    if (fault?.kind === "misread") content[0] = (content[0] ?? 0) ^ 1;
    response.writeHead(answer.statusCode ?? 500, answer.headers).end(content);
  }

  #faultOf(call: string): Fault | undefined {
    for (const rule of this.#rules) {
      if (rule.left === 0 || !rule.call.test(call)) continue;
      if (rule.skip > 0) {
        rule.skip--;
        continue;
      }
      rule.left--;
      return rule.fault;
    }
    return undefined;
  }
}

/** What Azure says and Azurite does not. */
function refusal(
  method: string,
  comp: string | null,
  bodyBytes: number,
  headers: IncomingMessage["headers"],
): readonly [number, string] | undefined {
  if (method !== "PUT") return undefined;
  if (comp === "page" && bodyBytes > mostPutBytes) {
    return [413, "RequestBodyTooLarge"];
  }
  if (Number(headers["x-ms-blob-content-length"] ?? 0) > mostBlobBytes) {
    return [400, "InvalidHeaderValue"];
  }
  return undefined;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, {
      "content-type": "application/xml",
      "x-ms-error-code": code,
    })
    .end(
      `<?xml version="1.0"?><Error><Code>${code}</Code><Message>Not today.</Message></Error>`,
    );
}
