/** Disks on their way to blobs of Azurite, behind a proxy that is as strict as Azure. */

import { randomBytes } from "node:crypto";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerClient } from "@azure/storage-blob";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  vi,
} from "vitest";
import { containerClient } from "../../../infra/azure/clients.ts";
import type {
  DefinitionName,
  ImageKey,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import {
  type PageBlobInputs,
  pageBlobs,
} from "../../../infra/platforms/azure/pageBlobProvider.ts";
import { inTurn } from "../../../infra/platforms/uploads.ts";
import { DirectoryStore } from "../../../infra/store/directoryStore.ts";
import {
  azuriteAccount,
  azuriteSecretFrom,
  startAzurite,
  useAzuriteKey,
} from "../../servers/azurite.ts";
import { BlobProxy, type Fault } from "../../servers/blobProxy.ts";
import type { LocalServer } from "../../servers/localServer.ts";

const mebibyte = 1024 ** 2;
const sizeBytes = 64 * mebibyte + 512;
/** 9 MiB, zeros inside of them, and the footer. */
const pieces = [
  { at: 0, content: randomBytes(5 * mebibyte) },
  { at: 6 * mebibyte + 4096, content: randomBytes(mebibyte) },
  { at: 40 * mebibyte, content: randomBytes(3 * mebibyte) },
  { at: 64 * mebibyte, content: randomBytes(512) },
];

let directory: string;
let azurite: LocalServer;
let proxy: BlobProxy;
let container: ContainerClient;
let inputs: PageBlobInputs;
let count = 0;

const resource = pageBlobs({
  attempts: 4,
  firstPauseMilliseconds: 1,
  longestPauseMilliseconds: 5,
  silenceMilliseconds: 20_000,
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "page-blob-"));
  azurite = await startAzurite(directory);
  proxy = await BlobProxy.start(azurite.url);
  useAzuriteKey();
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await azurite?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  count++;
  const access = {
    ...{ account: azuriteAccount, container: `images${count}` },
    ...{ secretFrom: azuriteSecretFrom, endpoint: proxy.url },
  };
  container = await containerClient({ ...access, endpoint: azurite.url });
  await container.create();
  inputs = {
    stack: "team/cloud-images/mine",
    store: join(directory, `store${count}`),
    key: "a".repeat(64) as ImageKey,
    label: "debian-13-azure-amd64-aaaaaaaaaaaa",
    definition: "debian-13-azure-amd64" as DefinitionName,
    channel: "daily",
    version: "20261121-0312" as ImageVersion,
    place: "europe",
    sha256: await storeDisk(join(directory, `store${count}`)),
    access,
    atOnce: { inPlace: 2, inAll: 8 },
  };
  proxy.reset();
});

async function storeDisk(store: string, more: typeof pieces = []) {
  const { sha256 } = await new DirectoryStore(store).withIncoming(
    async (incoming) => {
      const path = join(incoming, "disk");
      await using file = await open(path, "w");
      await file.truncate(sizeBytes);
      for (const { at, content } of [...pieces, ...more]) {
        await file.write(content, 0, content.length, at);
      }
      await file.close();
      return new DirectoryStore(store).adopt(path);
    },
  );
  return sha256;
}

const name =
  "europe/debian-13-azure-amd64-daily-20261121-0312-aaaaaaaaaaaa.vhd";
const puts = () =>
  proxy.calls.filter((call) => call.startsWith("PUT page ")).length;

async function names(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const blob of container.listBlobsFlat()) found.push(blob.name);
  return found;
}

/** Whether the blob is the disk, by its bytes. */
async function isTheDisk(): Promise<boolean> {
  const bytes = await container.getBlobClient(name).downloadToBuffer();
  const disk = Buffer.alloc(sizeBytes);
  for (const { at, content } of pieces) content.copy(disk, at);
  return bytes.equals(disk);
}

describe("a disk", { timeout: 60_000 }, () => {
  it("is sent without its zeros, and read back", async () => {
    const { id, outputs } = await resource.create(inputs);
    expect(id).toBe(`${azuriteAccount}/${name}`);
    expect(await isTheDisk()).toBe(true);
    const data = pieces.reduce((sum, { content }) => sum + content.length, 0);
    expect(outputs.sentBytes).toBe(proxy.sentBytes);
    expect(outputs.sentBytes).toBeGreaterThanOrEqual(data);
    expect(outputs.sentBytes / data).toBeLessThan(1.05);
    expect(outputs.verification).toMatchObject({
      ...{ sha256: inputs.sha256, readBlocks: 65, allBlocks: 65 },
    });
    expect(outputs.url).toBe(
      `${proxy.url}/${azuriteAccount}/images${count}/${name}`,
    );
    const { metadata } = await container.getBlobClient(name).getProperties();
    expect(metadata).toMatchObject({
      cloud_images_stack: "team/cloud-images/mine",
      cloud_images_version: "20261121-0312",
      cloud_images_sha256: inputs.sha256,
      cloud_images_state: "whole",
    });
    expect(JSON.stringify(outputs)).not.toContain(
      process.env[azuriteSecretFrom],
    );
    proxy.reset();
    const seen = await resource.read(id, outputs);
    expect(seen?.problems).toEqual([]);
    expect(resource.diff(seen as typeof outputs, inputs)).toEqual({
      ...{ replaces: [], updates: [] },
    });
    expect(proxy.writes).toEqual([]);
    await resource.delete(id, outputs);
    expect(await names()).toEqual([]);
    await resource.delete(id, outputs);
    expect(await resource.read(id, outputs)).toBeUndefined();
  });

  it("of another size than Azure takes is refused before anything is sent", async () => {
    const store = new DirectoryStore(inputs.store);
    const { sha256 } = await store.withIncoming(async (incoming) => {
      const path = join(incoming, "disk");
      await using file = await open(path, "w");
      await file.truncate(mebibyte + 1024);
      await file.close();
      return store.adopt(path);
    });
    await expect(resource.create({ ...inputs, sha256 })).rejects.toThrow(
      "takes disks of whole MiB",
    );
    expect(proxy.writes).toEqual([]);
  });

  it("waits for its turn among all that is sent anywhere", async () => {
    const other = Promise.withResolvers<void>();
    const sent = inTurn(1, () => other.promise);
    const made = resource.create({
      ...inputs,
      atOnce: { inPlace: 1, inAll: 1 },
    });
    await vi.waitFor(
      () =>
        expect(proxy.calls).toContain(`GET pagelist images${count}/${name}`),
      5000,
    );
    await sleep(300);
    expect(puts()).toBe(0);
    other.resolve();
    await sent;
    await made;
    expect(await isTheDisk()).toBe(true);
  });

  it("goes on where an upload was cut off", async () => {
    proxy.fail(
      /^PUT page/,
      { kind: "answer", status: 403, code: "AuthorizationFailure" },
      { after: 2, times: 100 },
    );
    await expect(resource.create(inputs)).rejects.toThrow(
      "Storage Blob Data Contributor",
    );
    proxy.reset();
    const { outputs } = await resource.create(inputs);
    expect(puts()).toBeLessThan(6);
    expect(outputs.verification?.sha256).toBe(inputs.sha256);
    expect(await isTheDisk()).toBe(true);
  });

  it("is sent again where what was left is not what it was to be", async () => {
    proxy.fail(
      /^PUT metadata/,
      { kind: "answer", status: 403, code: "AuthorizationFailure" },
      { times: 10 },
    );
    await expect(resource.create(inputs)).rejects.toThrow();
    const left = container.getPageBlobClient(name);
    await left.uploadPages(randomBytes(512), 0, 512);
    proxy.reset();
    await resource.create(inputs);
    expect(await isTheDisk()).toBe(true);
  });

  it("arrives whole in spite of a bad line", async () => {
    proxy.fail(/^PUT page/, { kind: "corrupt" }, { after: 1 });
    proxy.fail(/^PUT page/, { kind: "lose" }, { after: 1 });
    proxy.fail(/^PUT images/, { kind: "lose" });
    proxy.fail(/^PUT page/, {
      kind: "answer",
      status: 503,
      code: "ServerBusy",
    });
    await resource.create(inputs);
    expect(await isTheDisk()).toBe(true);
  });

  it("outlives a token that expires in mid-upload, and says so when there is no other", async () => {
    const expired: Fault = {
      kind: "answer",
      status: 401,
      code: "InvalidAuthenticationInfo",
    };
    proxy.fail(/^PUT page/, expired, { after: 1 });
    await resource.create(inputs);
    expect(await isTheDisk()).toBe(true);
    await container.getBlobClient(name).delete();
    proxy.fail(/^PUT page/, expired, { after: 1, times: 1000 });
    await expect(resource.create(inputs)).rejects.toThrow("have run out");
    proxy.reset();
    await resource.create(inputs);
    expect(await isTheDisk()).toBe(true);
  });

  it("is removed when it does not read back as what was sent", async () => {
    proxy.fail(/^GET images/, { kind: "misread" }, { times: 1000 });
    await expect(resource.create(inputs)).rejects.toThrow(
      "is not what was sent",
    );
    expect(await names()).toEqual([]);
  });

  it("is made by one of two runs at once, and taken over by the other one", async () => {
    const elsewhere = {
      ...inputs,
      store: join(directory, `other-store${count}`),
    };
    await storeDisk(elsewhere.store);
    const ends = await Promise.allSettled([
      resource.create(inputs),
      resource.create(elsewhere),
    ]);
    expect(ends.some(({ status }) => status === "fulfilled")).toBe(true);
    for (const end of ends) {
      if (end.status === "rejected") {
        expect(end.reason.message).toContain("another run");
      }
    }
    await resource.create(inputs);
    expect(await names()).toEqual([name]);
    expect(await isTheDisk()).toBe(true);
  });

  it("gets no pages any more from a run that another one followed", async () => {
    let overtaken = false;
    proxy.fail(/^PUT page/, {
      kind: "meanwhile",
      async act() {
        overtaken = true;
        await container
          .getPageBlobClient(name)
          .updateSequenceNumber("increment");
      },
    });
    await expect(resource.create(inputs)).rejects.toThrow("another run");
    expect(overtaken).toBe(true);
  });
});

describe("what is there already", { timeout: 60_000 }, () => {
  it("is left alone when it is somebody else's", async () => {
    await container.getPageBlobClient(name).create(1024);
    await expect(resource.create(inputs)).rejects.toThrow("somebody else's");
    expect(proxy.writes).toEqual([]);
    const { contentLength } = await container
      .getBlobClient(name)
      .getProperties();
    expect(contentLength).toBe(1024);
  });

  it("is not removed once it does not carry our metadata", async () => {
    const { id, outputs } = await resource.create(inputs);
    await container.getBlobClient(name).setMetadata({ owner: "me" });
    await resource.delete(id, outputs);
    expect(await names()).toEqual([name]);
    expect(await resource.read(id, outputs)).toBeUndefined();
  });

  it("is put right when somebody wrote to it", async () => {
    const { id, outputs } = await resource.create(inputs);
    await container
      .getPageBlobClient(name)
      .uploadPages(randomBytes(512), mebibyte, 512);
    const seen = await resource.read(id, outputs);
    expect(seen?.problems).toHaveLength(1);
    expect(resource.diff(seen as typeof outputs, inputs).updates).toEqual([
      "problems",
    ]);
    await resource.update(id, seen as typeof outputs, inputs);
    expect(await isTheDisk()).toBe(true);
  });

  it("is not read again when only the way to it has changed", async () => {
    const { id, outputs } = await resource.create(inputs);
    proxy.reset();
    process.env.ANOTHER_KEY_OF_TESTS = process.env[azuriteSecretFrom];
    const access = { ...inputs.access, secretFrom: "ANOTHER_KEY_OF_TESTS" };
    const changed = { ...inputs, access };
    expect(resource.diff(outputs, changed)).toEqual({
      ...{ replaces: [], updates: ["access"] },
    });
    await resource.update(id, outputs, changed);
    expect(proxy.calls.every((call) => call.startsWith("HEAD"))).toBe(true);
  });
});

it("says which container there is not", async () => {
  await container.delete();
  await expect(resource.create(inputs)).rejects.toThrow(
    `has no container images${count}`,
  );
});
