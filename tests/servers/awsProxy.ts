/**
 * Stands before moto and sees every call of AWS's APIs. Rules decide what becomes of a call: each may answer it, alter
 * it or its answer, or hand it to the next rule; after the last one it goes to moto. Rules that a test adds come first,
 * so that what they break is seen by those that are strict where moto is not.
 */

import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { motoAccount } from "./moto.ts";

/** A call on its way. */
export interface ApiCall {
  /** As in the signature: `ebs`, `ec2`, `sts`, `s3`, `ssm`, … */
  readonly service: string;
  /** `PutSnapshotBlock`, `DescribeImages`, … */
  readonly action: string;
  readonly region: string;
  readonly accessKeyId: string;
  /** Whose credentials they are, as moto sees it. */
  readonly account: string;
  /** How many calls of that service and action there were, this one included. */
  readonly count: number;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Of the query protocol, which EC2, STS and IAM speak; of other calls, those of the address. */
  readonly parameters: URLSearchParams;
}

/** An answer, or a connection that ends without one. */
export type ApiAnswer =
  | "cut"
  | {
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Buffer;
      /** The connection ends when that much of the body was sent. */
      readonly cutAfterBytes?: number;
    };

/** Hands a call on. */
export type Forward = (call: ApiCall) => Promise<ApiAnswer>;

/** One thing that the proxy does. */
export interface ProxyRule {
  matches(call: ApiCall): boolean;
  act(call: ApiCall, forward: Forward): ApiAnswer | Promise<ApiAnswer>;
}

/** A call as it is remembered. */
export interface SeenCall {
  readonly service: string;
  readonly action: string;
  readonly region: string;
  readonly account: string;
  /** {@link performance.now} when it came. */
  readonly atMilliseconds: number;
}

/** A running proxy. Disposing of it ends its connections. */
export class AwsProxy implements AsyncDisposable {
  readonly url: string;
  /** Every call since the start or the last {@link forget}, in order. */
  readonly calls: SeenCall[] = [];
  readonly #server: Server;
  readonly #rules: ProxyRule[];
  readonly #agent = new Agent({ keepAlive: true });
  /** Of credentials that came from taking on a role. */
  readonly #accounts = new Map<string, string>();

  private constructor(server: Server, rules: readonly ProxyRule[]) {
    this.#server = server;
    this.#rules = [...rules];
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /**
   * Starts a proxy.
   *
   * @param moto address of the server behind it
   * @param rules the first one sees a call first
   */
  static async start(
    moto: string,
    rules: readonly ProxyRule[] = [],
  ): Promise<AwsProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new AwsProxy(server, rules);
    server.on("request", (incoming, response) => {
      proxy.#serve(moto, incoming, response).catch(() => response.destroy());
    });
    return proxy;
  }

  /** Puts a rule before all others; the function takes it away again. */
  add(rule: ProxyRule): () => void {
    this.#rules.unshift(rule);
    return () => {
      const at = this.#rules.indexOf(rule);
      if (at >= 0) this.#rules.splice(at, 1);
    };
  }

  /** How often an action was called. */
  count(service: string, action: string): number {
    return this.calls.filter(
      (call) => call.service === service && call.action === action,
    ).length;
  }

  /** The distinct calls, as policies name them: `ebs:PutSnapshotBlock`; sorted. */
  actions(): readonly string[] {
    const names = this.calls.map(
      ({ service, action }) => `${service}:${action}`,
    );
    return [...new Set(names)].sort();
  }

  /** Begins to count anew. */
  forget(): void {
    this.calls.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await closed;
  }

  async #serve(
    moto: string,
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const call = this.#callOf(incoming, await bytesOf(incoming));
    const answer = await this.#chain(0, moto)(call);
    if (answer === "cut") {
      response.destroy();
      return;
    }
    if (call.action === "AssumeRole") this.#noteAccount(call, answer.body);
    const { "transfer-encoding": _, ...headers } = answer.headers;
    response.writeHead(answer.status, {
      ...headers,
      ...(call.method === "HEAD"
        ? {}
        : { "content-length": answer.body.length }),
    });
    if (answer.cutAfterBytes === undefined) response.end(answer.body);
    else {
      const part = answer.body.subarray(0, answer.cutAfterBytes);
      response.write(part, () => response.destroy());
    }
  }

  #callOf(incoming: IncomingMessage, body: Buffer): ApiCall {
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [
        name,
        String(value),
      ]),
    );
    // AWS4-HMAC-SHA256 Credential=<key id>/<date>/<region>/<service>/aws4_request, …
    const [, accessKeyId = "", region = "", service = ""] =
      /Credential=([^/]+)\/[0-9]+\/([^/]+)\/([^/]+)\//.exec(
        headers.authorization ?? "",
      ) ?? [];
    const path = incoming.url ?? "/";
    const url = new URL(path, "http://any");
    const isForm = /form-urlencoded/.test(headers["content-type"] ?? "");
    const parameters = isForm
      ? new URLSearchParams(body.toString())
      : url.searchParams;
    const method = incoming.method ?? "GET";
    const action =
      parameters.get("Action") ??
      headers["x-amz-target"]?.split(".").at(-1) ??
      restAction(service, method, url);
    const account = this.#accounts.get(accessKeyId) ?? motoAccount;
    const seen = { service, action, region, account };
    this.calls.push({ ...seen, atMilliseconds: performance.now() });
    const count = this.count(service, action);
    const said = { accessKeyId, method, path, headers, body, parameters };
    return { ...seen, count, ...said };
  }

  /** Keeps in mind which account a role is in that was taken on. */
  #noteAccount({ parameters }: ApiCall, answer: Buffer): void {
    const [, id] = /<AccessKeyId>(.*?)</.exec(answer.toString()) ?? [];
    const account = parameters.get("RoleArn")?.split(":")[4];
    if (id && account) this.#accounts.set(id, account);
  }

  /** What a rule, and those after it, make of a call. */
  #chain(at: number, moto: string): Forward {
    const rules = [...this.#rules];
    const from =
      (index: number): Forward =>
      async (call) => {
        const rule = rules[index];
        if (rule === undefined) return this.#forward(moto, call);
        if (!rule.matches(call)) return from(index + 1)(call);
        return rule.act(call, from(index + 1));
      };
    return from(at);
  }

  async #forward(moto: string, call: ApiCall): Promise<ApiAnswer> {
    const { expect, "transfer-encoding": _, ...headers } = call.headers;
    const outgoing = request(new URL(call.path, moto), {
      agent: this.#agent,
      method: call.method,
      headers: { ...headers, "content-length": call.body.length },
    });
    outgoing.end(call.body);
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    return {
      status: answer.statusCode ?? 500,
      headers: Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [
          name,
          String(value),
        ]),
      ),
      body: await bytesOf(answer),
    };
  }
}

/** The action of a call whose protocol has it in method and path. */
function restAction(service: string, method: string, url: URL): string {
  const call = `${method} ${url.pathname}`;
  if (service === "ebs") {
    if (call === "POST /snapshots") return "StartSnapshot";
    if (/^POST \/snapshots\/completion\//.test(call)) return "CompleteSnapshot";
    if (/^PUT \/snapshots\/[^/]+\/blocks\//.test(call)) {
      return "PutSnapshotBlock";
    }
    if (/^GET \/snapshots\/[^/]+\/blocks\/./.test(call)) {
      return "GetSnapshotBlock";
    }
    if (/^GET \/snapshots\/[^/]+\/blocks\/?$/.test(call)) {
      return "ListSnapshotBlocks";
    }
    if (/^GET \/snapshots\/[^/]+\/changedblocks$/.test(call)) {
      return "ListChangedBlocks";
    }
  }
  // The SDK names the operation of a REST call.
  return url.searchParams.get("x-id") ?? method;
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part);
  return Buffer.concat(parts);
}

/** Matches calls of a service, and of one or some of its actions. */
export function isCall(
  service: string,
  ...actions: readonly string[]
): (call: ApiCall) => boolean {
  return (call) =>
    call.service === service &&
    (actions.length === 0 || actions.includes(call.action));
}

/** An error as the service of a call words it. */
export function apiError(
  { service }: Pick<ApiCall, "service">,
  status: number,
  code: string,
  message: string,
  members: Readonly<Record<string, string>> = {},
): ApiAnswer {
  if (service === "ebs" || service === "ssm") {
    return {
      status,
      headers: { "content-type": "application/json", "x-amzn-errortype": code },
      body: Buffer.from(
        JSON.stringify({ __type: code, Message: message, ...members }),
      ),
    };
  }
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  const texts: Readonly<Record<string, string>> = {
    ec2: `<Response><Errors>${error}</Errors><RequestID>1</RequestID></Response>`,
    s3: error,
  };
  const text = texts[service] ?? `<ErrorResponse>${error}</ErrorResponse>`;
  return {
    status,
    headers: { "content-type": "text/xml" },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${text}`),
  };
}

/** A JSON answer. */
export function jsonAnswer(status: number, value: unknown): ApiAnswer {
  return {
    status,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(value)),
  };
}
