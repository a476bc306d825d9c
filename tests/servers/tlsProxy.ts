/** A cloud of OpenStack behind TLS, by the certificate of an authority that nobody knows. */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import type { OpenstackCloud } from "./openstack.ts";

/** Addresses by TLS of a cloud's two servers. */
export interface TlsCloud extends AsyncDisposable {
  /** The entry of clouds.yaml, which names the authority's file. */
  entry(changes?: object): object;
}

/** @param directory takes the certificate and its key */
export async function startTls(
  cloud: OpenstackCloud,
  directory: string,
): Promise<TlsCloud> {
  const [key, cert] = ["tls.key", "tls.crt"].map((name) =>
    join(directory, name),
  ) as [string, string];
  await execa("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext"],
    ...["subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
  ]);
  await using stack = new AsyncDisposableStack();
  const options = { key: await readFile(key), cert: await readFile(cert) };
  const start = async (to: string): Promise<string> => {
    const server = createServer(options, (incoming, response) => {
      const { method, headers, url } = incoming;
      const onward = request(new URL(url ?? "/", to), { method, headers });
      onward.once("error", () => response.destroy());
      onward.once("response", (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(onward);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    stack.defer(async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    });
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const keystone = await start(cloud.authUrl);
  const glance = await start(cloud.glanceUrl);
  const { auth } = cloud.entry() as { auth: object };
  const running = stack.move();
  return {
    entry: (changes = {}) =>
      cloud.entry({
        auth: { ...auth, auth_url: `${keystone}/v3` },
        image_endpoint_override: glance,
        cacert: cert,
        ...changes,
      }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
