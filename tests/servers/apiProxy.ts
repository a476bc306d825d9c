/**
 * Stands before a server and sees every call of its API. Rules decide what becomes of a call: each may answer it, alter
 * it or its answer, or hand it to the next rule; after the last one it goes to the server. Rules that a test adds come first,
 * so that what they break is seen by those that are strict where the server is not.
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

/** A call on its way. */
export interface ApiCall {
  /** Of AWS as in the signature: `ebs`, `ec2`, `sts`, `s3`, `ssm`, … */
  readonly service: string;
  /** `PutSnapshotBlock`, `DescribeImages`, …; objects of all clouds in the words of S3. */
  readonly action: string;
  readonly region: string;
  readonly accessKeyId: string;
  /** Whose credentials they are, as moto sees it; empty elsewhere. */
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

/** What a call is, found in its request. */
export type CallDescription = Pick<
  ApiCall,
  "service" | "action" | "region" | "accessKeyId" | "account" | "parameters"
>;

/** A request as it came. */
export type ApiRequest = Pick<ApiCall, "method" | "path" | "headers" | "body">;

/** Knows an API. */
export type Describe = (request: ApiRequest) => CallDescription;

/** A running proxy. Disposing of it ends its connections. */
export class ApiProxy implements AsyncDisposable {
  readonly url: string;
  /** Every call since the start or the last {@link forget}, in order. */
  readonly calls: SeenCall[] = [];
  readonly #server: Server;
  readonly #rules: ProxyRule[];
  readonly #describe: Describe;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(
    server: Server,
    describe: Describe,
    rules: readonly ProxyRule[],
  ) {
    this.#server = server;
    this.#describe = describe;
    this.#rules = [...rules];
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /**
   * Starts a proxy.
   *
   * @param target address of the server behind it
   * @param describe knows its API
   * @param rules the first one sees a call first
   */
  static async start(
    target: string,
    describe: Describe,
    rules: readonly ProxyRule[] = [],
  ): Promise<ApiProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new ApiProxy(server, describe, rules);
    server.on("request", (incoming, response) => {
      proxy.#serve(target, incoming, response).catch(() => response.destroy());
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
    target: string,
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const call = this.#callOf(incoming, await bytesOf(incoming));
    const answer = await this.#chain(0, target)(call);
    if (answer === "cut") {
      response.destroy();
      return;
    }
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
    const request = {
      ...{ method: incoming.method ?? "GET", path: incoming.url ?? "/" },
      ...{ headers, body },
    };
    const description = this.#describe(request);
    const { service, action, region, account } = description;
    const seen = { service, action, region, account };
    this.calls.push({ ...seen, atMilliseconds: performance.now() });
    const count = this.count(service, action);
    return { ...request, ...description, count };
  }

  /** What a rule, and those after it, make of a call. */
  #chain(at: number, target: string): Forward {
    const rules = [...this.#rules];
    const from =
      (index: number): Forward =>
      async (call) => {
        const rule = rules[index];
        if (rule === undefined) return this.#forward(target, call);
        if (!rule.matches(call)) return from(index + 1)(call);
        return rule.act(call, from(index + 1));
      };
    return from(at);
  }

  async #forward(target: string, call: ApiCall): Promise<ApiAnswer> {
    const { expect, "transfer-encoding": _, ...headers } = call.headers;
    const outgoing = request(new URL(call.path, target), {
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

/** A JSON answer. */
export function jsonAnswer(status: number, value: unknown): ApiAnswer {
  return {
    status,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(value)),
  };
}
