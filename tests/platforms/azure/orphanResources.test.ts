/** What a killed run did not live to note, at a Resource Manager that has it, or something else of that name. */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ManagerSettings } from "../../../infra/azure/resourceManager.ts";
import {
  type AskedForResource,
  askedForResources,
  removeOrphanResource,
} from "../../../infra/platforms/azure/orphanResources.ts";

const subscription = "11111111-1111-1111-1111-111111111111";
const gallery = `/subscriptions/${subscription}/resourceGroups/images/providers/Microsoft.Compute/galleries/debian`;
const version = `${gallery}/images/debian-13-tiny-amd64-daily/versions/0.20261121.312`;
const tags = {
  "cloud-images:stack": "organization/cloud-images/mine",
  "cloud-images:place": "europe",
};
const providerUrn =
  "urn:pulumi:mine::cloud-images::pulumi:providers:azure-native::azure-europe";
const provider = {
  urn: providerUrn,
  id: "1",
  type: "pulumi:providers:azure-native",
  inputs: { subscriptionId: subscription },
};

function pending(type: string, names: object, changes: object = {}) {
  return {
    type: "creating",
    resource: {
      urn: `urn:pulumi:mine::cloud-images::azure-native:compute:${type}::x`,
      type: `azure-native:compute:${type}`,
      provider: `${providerUrn}::1`,
      inputs: {
        resourceGroupName: "images",
        galleryName: "debian",
        tags,
        ...names,
      },
    },
    ...changes,
  };
}

const pendingGallery = pending("Gallery", {});
const pendingVersion = pending("GalleryImageVersion", {
  galleryImageName: "debian-13-tiny-amd64-daily",
  galleryImageVersionName: "0.20261121.312",
});

describe("what a killed run asked for", () => {
  const askedIn = (resources: object[], pending_operations: object[]) =>
    askedForResources({ deployment: { resources, pending_operations } });

  it("is known by its place, what is in something before that", () => {
    expect(askedIn([provider], [pendingGallery, pendingVersion])).toEqual([
      { access: { subscription }, id: version, tags },
      { access: { subscription }, id: gallery, tags },
    ]);
  });

  it("is nothing that the state has, that nobody can look at, or that is not ours", () => {
    const made = { urn: "x", type: "y", id: version.toUpperCase() };
    expect(askedIn([provider, made], [pendingVersion])).toEqual([]);
    expect(askedIn([], [pendingVersion])).toEqual([]);
    const strange = pending("Gallery", { tags: { owner: "me" } });
    expect(askedIn([provider], [strange])).toEqual([]);
    const going = { ...pendingVersion, type: "deleting" };
    expect(askedIn([provider], [going])).toEqual([]);
    expect(askedForResources({ deployment: null })).toEqual([]);
  });
});

describe("what came to be of it", () => {
  const resources = new Map<string, object>();
  const calls: string[] = [];
  let server: Server;
  let settings: ManagerSettings;
  let looksUntilGone = 0;

  beforeAll(async () => {
    server = createServer(({ method, url = "", headers }, response) => {
      const { pathname, searchParams } = new URL(url, "http://azure");
      calls.push(`${method} ${pathname}`);
      const isRight =
        headers.authorization === "Bearer good" &&
        searchParams.get("api-version") === "2024-03-03";
      if (!isRight) {
        response.writeHead(401).end('{"error":{"code":"ExpiredToken"}}');
      } else if (!resources.has(pathname)) {
        response.writeHead(404).end('{"error":{"code":"ResourceNotFound"}}');
      } else if (method === "DELETE") {
        looksUntilGone = 2;
        response.writeHead(202).end();
      } else {
        if (looksUntilGone > 0 && --looksUntilGone === 0) {
          resources.delete(pathname);
        }
        response
          .writeHead(200)
          .end(JSON.stringify(resources.get(pathname) ?? {}));
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterAll(() => server.close());
  beforeEach(() => {
    calls.length = 0;
    looksUntilGone = 0;
    resources.clear();
    settings = {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      patienceSeconds: 5,
      pauseMilliseconds: 1,
      token: async () => "good",
    };
  });

  const asked: AskedForResource = {
    ...{ access: { subscription }, id: version, tags },
  };

  it("is removed when it is ours", async () => {
    resources.set(version, { tags: { ...tags, more: "of them" } });
    expect(await removeOrphanResource(asked, settings)).toBe(true);
    expect(resources.size).toBe(0);
    expect(await removeOrphanResource(asked, settings)).toBe(false);
  });

  it("stays when it does not carry all of our tags", async () => {
    resources.set(version, { tags: { ...tags, "cloud-images:place": "x" } });
    expect(await removeOrphanResource(asked, settings)).toBe(false);
    resources.set(version, {});
    expect(await removeOrphanResource(asked, settings)).toBe(false);
    expect(calls.some((call) => call.startsWith("DELETE"))).toBe(false);
  });

  it("is not guessed when Azure does not say", async () => {
    await expect(
      removeOrphanResource(asked, { ...settings, token: async () => "old" }),
    ).rejects.toThrow("401");
  });
});
