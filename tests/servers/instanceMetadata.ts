/** The metadata service that each instance of EC2 has, in its second version: nothing without a token. */

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { InstanceIdentity } from "../../infra/platforms/ec2/instanceIdentity.ts";

/** A running service. Disposing of it ends its connections. */
export class InstanceMetadata implements AsyncDisposable {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Starts a service that speaks for an instance. */
  static async start(instance: InstanceIdentity): Promise<InstanceMetadata> {
    const tokens = new Set<string>();
    const server = createServer((incoming, response) => {
      const { status, text } = answer(instance, tokens, incoming);
      response.writeHead(status, { "content-type": "text/plain" }).end(text);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new InstanceMetadata(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function answer(
  instance: InstanceIdentity,
  tokens: Set<string>,
  { method, url, headers }: IncomingMessage,
): { readonly status: number; readonly text: string } {
  if (url === "/latest/api/token") {
    const seconds = Number(headers["x-aws-ec2-metadata-token-ttl-seconds"]);
    if (method !== "PUT") return { status: 405, text: "" };
    if (!(seconds >= 1 && seconds <= 21_600)) return { status: 400, text: "" };
    const token = randomUUID();
    tokens.add(token);
    return { status: 200, text: token };
  }
  if (!tokens.has(String(headers["x-aws-ec2-metadata-token"]))) {
    return { status: 401, text: "" };
  }
  if (url !== "/latest/dynamic/instance-identity/document") {
    return { status: 404, text: "" };
  }
  return {
    status: 200,
    text: JSON.stringify({ ...instance, version: "2017-09-30" }, undefined, 2),
  };
}
