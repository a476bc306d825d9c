/** Servers that take a connection and fall silent, by every client that would wait for them for ever. */

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { BlobBucket } from "../infra/azure/blobBucket.ts";
import type { Retries } from "../infra/azure/clients.ts";
import { CloudStorageBucket } from "../infra/google/bucketObjects.ts";
import { PageBlobApi } from "../infra/platforms/azure/pageBlobApi.ts";
import { SourceObject } from "../infra/platforms/gce/sourceObject.ts";
import { limitSilence } from "../infra/silence.ts";
import {
  azuriteAccount,
  azuriteSecretFrom,
  useAzuriteKey,
} from "./servers/azurite.ts";
import { SilentServer } from "./servers/silentServer.ts";

vi.setConfig({ testTimeout: 30_000 });

const silenceMilliseconds = 300;
const azureRetries: Retries = {
  ...{ attempts: 2, silenceMilliseconds },
  ...{ firstPauseMilliseconds: 1, longestPauseMilliseconds: 1 },
};
const googleRetries = {
  ...{ maxRetries: 1, totalTimeoutSeconds: 3 },
  silenceSeconds: silenceMilliseconds / 1000,
};

let server: SilentServer;
let directory: string;
let path: string;

beforeAll(async () => {
  server = await SilentServer.start();
  directory = await mkdtemp(join(tmpdir(), "silence-"));
  path = join(directory, "file");
  // More than connections have room for.
  await writeFile(path, Buffer.alloc(20 * 1024 ** 2));
  useAzuriteKey();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const blobAccess = () => ({
  ...{ account: azuriteAccount, container: "images" },
  ...{ secretFrom: azuriteSecretFrom, endpoint: server.url },
});
const googleAccess = () => ({ bucket: "images", endpoint: server.url });

it.each<[string, () => Promise<unknown>]>([
  [
    "an object of Cloud Storage is looked at",
    async () =>
      (await CloudStorageBucket.open(googleAccess(), googleRetries)).head("a"),
  ],
  [
    "an object of Cloud Storage is read",
    async () =>
      (await CloudStorageBucket.open(googleAccess(), googleRetries)).read("a"),
  ],
  [
    "objects of Cloud Storage are listed",
    async () =>
      (await CloudStorageBucket.open(googleAccess(), googleRetries)).list("a"),
  ],
  [
    "a small object is written to Cloud Storage",
    async () =>
      (await CloudStorageBucket.open(googleAccess(), googleRetries)).write(
        ...(["a", "text"] as const),
      ),
  ],
  [
    "a file is sent to Cloud Storage",
    async () =>
      (await CloudStorageBucket.open(googleAccess(), googleRetries)).upload(
        ...(["a", path, "AAAAAA=="] as const),
      ),
  ],
  [
    "an image's file is looked for in Cloud Storage",
    async () => {
      const access = { project: "first-project", endpoint: server.url };
      const object = await SourceObject.open(
        ...([access, "images", "a", googleRetries] as const),
      );
      return object.find();
    },
  ],
  [
    "a blob is looked at",
    async () => (await BlobBucket.open(blobAccess(), azureRetries)).head("a"),
  ],
  [
    "a blob is read",
    async () => (await BlobBucket.open(blobAccess(), azureRetries)).read("a"),
  ],
  [
    "a file is sent to blobs",
    async () =>
      (await BlobBucket.open(blobAccess(), azureRetries)).upload(
        ...(["a", path, "AAAA"] as const),
      ),
  ],
  [
    "pages are sent",
    async () => {
      const api = new PageBlobApi(blobAccess(), "a", azureRetries);
      const bytes = 4 * 1024 ** 2;
      await api.put(
        { start: 0, bytes },
        Buffer.alloc(bytes),
        Buffer.alloc(16),
        { etag: "", sizeBytes: bytes, metadata: {}, sequenceNumber: 0 },
      );
    },
  ],
])(
  "while %s, a silent server is given up after more than one attempt",
  async (_, ask) => {
    const before = server.connections;
    await expect(ask()).rejects.toThrow(
      /127\.0\.0\.1:\d+ was silent for 0\.3 s/,
    );
    expect(server.connections - before).toBeGreaterThanOrEqual(2);
  },
);

it("an answer that comes slowly is waited for", async () => {
  await using slow = createServer(async (_, response) => {
    for (const word of ["still", " ", "here"]) {
      response.write(word);
      await sleep(silenceMilliseconds / 2);
    }
    response.end();
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  const host = `127.0.0.1:${(slow.address() as AddressInfo).port}`;
  limitSilence(host, silenceMilliseconds);
  const asked = request(`http://${host}/`).end();
  const [answer] = await once(asked, "response");
  expect(await text(answer)).toBe("still here");
});

it("requests to other servers are left alone", async () => {
  await using other = await SilentServer.start();
  limitSilence("example.com", 1);
  const asked = request(`${other.url}/`).end();
  const failed = once(asked, "error").then(([error]) => error.message);
  expect(await Promise.race([failed, sleep(100, "waiting")])).toBe("waiting");
  asked.destroy(new Error("enough"));
  expect(await failed).toBe("enough");
});
