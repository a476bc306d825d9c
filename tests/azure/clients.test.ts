import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { containerClient } from "../../infra/azure/clients.ts";
import { failureKind } from "../../infra/azure/failures.ts";
import {
  azuriteAccount,
  azuriteSecretFrom,
  startAzurite,
  useAzuriteKey,
} from "../servers/azurite.ts";
import type { LocalServer } from "../servers/localServer.ts";

let directory: string;
let azurite: LocalServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "azure-clients-"));
  azurite = await startAzurite(directory);
  useAzuriteKey();
});
afterAll(async () => {
  await azurite?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function containerOf(changes: object = {}) {
  return containerClient({
    account: azuriteAccount,
    container: "images",
    secretFrom: azuriteSecretFrom,
    endpoint: azurite.url,
    ...changes,
  });
}

test("a blob is written and read with the account's key", async () => {
  const container = await containerOf();
  const missing = container.getBlobClient("a").download();
  expect(await missing.catch(failureKind)).toBe("noContainer");
  await container.create();
  expect(await container.create().catch(failureKind)).toBe("conflict");
  const blob = container.getBlockBlobClient("a/b");
  expect(await blob.getProperties().catch(failureKind)).toBe("missing");
  await blob.upload("abc", 3);
  expect((await blob.downloadToBuffer()).toString()).toBe("abc");
});

test("another key is refused", async () => {
  process.env.TEST_WRONG_KEY = Buffer.from("wrong").toString("base64");
  const container = await containerOf({ secretFrom: "TEST_WRONG_KEY" });
  const listed = container.listBlobsFlat().next();
  expect(await listed.catch(failureKind)).toBe("refused");
});
