/** Tokens and patience, at servers that say what a test wants. */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, expect, it } from "vitest";
import { PublicationError, UserError } from "../../infra/errors.ts";
import type { Cloud } from "../../infra/openstack/cloud.ts";
import { ImageApi } from "../../infra/openstack/imageApi.ts";
import { Session } from "../../infra/openstack/session.ts";

const password = "s3cret-value";

/** How Keystone answers, how long its tokens last, and what Glance says to each call. */
let keystoneStatus: number;
let tokenSeconds: number;
let glance: (call: number, token: string) => number | "silence";
let tokens: number;
let calls: number;
let server: Server;
let cloud: Cloud;

beforeEach(async () => {
  keystoneStatus = 201;
  tokenSeconds = 3600;
  glance = () => 200;
  tokens = 0;
  calls = 0;
  server = createServer((incoming, response) => {
    incoming.resume();
    if (incoming.url === "/v3/auth/tokens") {
      tokens++;
      response.writeHead(keystoneStatus, {
        "x-subject-token": `token-${tokens}`,
      });
      response.end(tokenBody());
      return;
    }
    calls++;
    const status = glance(calls, String(incoming.headers["x-auth-token"]));
    if (status === "silence") return;
    response.writeHead(status);
    response.end(
      JSON.stringify({ id: "1", status: "active", visibility: "private" }),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  cloud = {
    ...{ name: "one", source: "clouds.yaml", authUrl: `${url}/v3` },
    identity: {
      kind: "password",
      user: { id: "publisher" },
      password,
      project: { id: "images" },
    },
    ...{ region: "North", interface: "public", tls: { verify: true } },
  };
  return () => {
    server.close();
    server.closeAllConnections();
  };
});

function tokenBody(): string {
  const { port } = server.address() as AddressInfo;
  const endpoint = {
    ...{ interface: "public", region: "North" },
    url: `http://127.0.0.1:${port}/image/v2/`,
  };
  return JSON.stringify({
    token: {
      expires_at: new Date(Date.now() + tokenSeconds * 1000).toISOString(),
      project: { id: "images" },
      catalog: [
        {
          type: "image",
          endpoints: [endpoint, { ...endpoint, region: "South" }],
        },
      ],
    },
  });
}

function api(): ImageApi {
  return new ImageApi(
    new Session(cloud, {
      patience: {
        ...{ seconds: 1, firstPauseSeconds: 0.01, longestPauseSeconds: 0.02 },
      },
      ...{ silenceSeconds: 0.2, uploadSilenceSeconds: 0.2, settleSeconds: 0 },
    }),
  );
}

it("shares one token among calls, and asks for another before it ends", async () => {
  const images = api();
  await Promise.all(["1", "2", "3"].map((id) => images.find(id)));
  expect(tokens).toBe(1);

  tokenSeconds = 0.2;
  const brief = api();
  await brief.find("1");
  await new Promise((resolve) => setTimeout(resolve, 150));
  await brief.find("1");
  expect(tokens).toBe(3);
});

it("asks for another token where the one it has is not taken any more, once for all calls", async () => {
  const images = api();
  await images.find("1");
  glance = (_call, token) => (token === "token-1" ? 401 : 200);
  await Promise.all(["1", "2", "3"].map((id) => images.find(id)));
  expect(tokens).toBe(2);
});

it("says whose credentials are wrong, and does not show them", async () => {
  keystoneStatus = 401;
  const failure = await api()
    .find("1")
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UserError);
  expect((failure as Error).message).toMatch(/^The cloud one does not know/);
  expect((failure as Error).message).not.toContain(password);
  expect(tokens).toBe(1);
});

it("names the regions that there are", async () => {
  cloud = { ...cloud, region: "East" };
  await expect(api().find("1")).rejects.toThrow(
    /^clouds\.yaml: the cloud one: region_name must be .*: North, South\./,
  );
});

it("outlasts what passes, and gives up what does not", async () => {
  glance = (call) => ([503, "silence", 429, 200] as const)[call - 1] ?? 200;
  expect(await api().find("1")).toMatchObject({ id: "1" });
  expect(calls).toBe(4);

  glance = () => "silence";
  const failure = api().find("1");
  await expect(failure).rejects.toThrow(PublicationError);
  await expect(failure).rejects.toThrow(/did not look at the image 1 for as/);
  calls = 0;
  // The next image does not wait as long for a cloud that is away.
  await expect(api().find("2")).rejects.toThrow(/did not look at the image 2/);
  expect(calls).toBe(1);

  calls = 0;
  glance = () => 403;
  await expect(api().find("1")).rejects.toThrow(/does not let these/);
  expect(calls).toBe(1);
  glance = (call) => (call === 2 ? 503 : 200);
  expect(await api().find("1")).toMatchObject({ id: "1" });
});
