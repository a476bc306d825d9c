/**
 * Image versions on their way to Azure by the real engine: blobs in Azurite, strictly stood before, and galleries of a
 * provider plugin that stands in for @pulumi/azure-native's. The images are in the store, as another runner left them.
 */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerClient } from "@azure/storage-blob";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
} from "vitest";
import { containerClient } from "../../../infra/azure/clients.ts";
import type { ManagerSettings } from "../../../infra/azure/resourceManager.ts";
import {
  askedForResources,
  removeOrphanResource,
} from "../../../infra/platforms/azure/orphanResources.ts";
import { listPlaceFailures } from "../../../infra/store/attempts.ts";
import { listPublications } from "../../../infra/store/documents.ts";
import type { BuildRecord } from "../../../infra/store/records.ts";
import { azureStateVariable } from "../../doubles/azure/cloud.ts";
import { ResourceFiles } from "../../doubles/resourceFiles.ts";
import type { Properties } from "../../doubles/values.ts";
import { EngineProject } from "../../engineProject.ts";
import {
  azuriteAccount,
  azuriteKey,
  azuriteSecretFrom,
  startAzurite,
  useAzuriteKey,
} from "../../servers/azurite.ts";
import { BlobProxy } from "../../servers/blobProxy.ts";
import type { LocalServer } from "../../servers/localServer.ts";

const image = "debian-13-tiny-amd64";
const mebibyte = 1024 ** 2;
const subscriptions = {
  europe: "11111111-1111-1111-1111-111111111111",
  america: "22222222-2222-2222-2222-222222222222",
};

const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [
    { at: 0, content: randomBytes(2 * mebibyte) },
    { at: 40 * mebibyte, content: randomBytes(mebibyte) },
  ],
};

let directory: string;
let azurite: LocalServer;
let proxy: BlobProxy;
let project: EngineProject;
let container: ContainerClient;
let resources: ResourceFiles;
let env: Readonly<Record<string, string>>;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "azure-stack-"));
  azurite = await startAzurite(join(directory));
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
  const state = join(directory, `resources${count}`);
  env = { [azureStateVariable]: state, [azuriteSecretFrom]: azuriteKey };
  resources = new ResourceFiles(state);
  container = await containerClient({
    ...{ account: azuriteAccount, container: `images${count}` },
    ...{ secretFrom: azuriteSecretFrom, endpoint: azurite.url },
  });
  await container.create();
  proxy.reset();
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});
afterEach(() => project.remove());

type PlaceName = keyof typeof subscriptions;

function place(name: PlaceName, changes: object = {}): object {
  return {
    subscription: subscriptions[name],
    resourceGroup: "images",
    location: "westeurope",
    gallery: "debian",
    publisher: "Team",
    storage: {
      ...{ account: azuriteAccount, container: `images${count}` },
      ...{ secretFrom: azuriteSecretFrom, endpoint: proxy.url },
    },
    ...changes,
  };
}

function configure(
  places: Readonly<Record<string, object>> = { europe: place("europe") },
  azure: object = {},
): Promise<void> {
  return project.configure({
    directory: undefined,
    type: "daily",
    azure: { definitions: ["*"], places, ...azure },
  });
}

async function prepare(version: string): Promise<BuildRecord> {
  const [build] = await project.prepareBuilds(version, disk);
  return build as BuildRecord;
}

/** The same with another package, and so with another key. */
async function prepareNext(version: string): Promise<BuildRecord> {
  await project.write(
    "image-definitions/fai/package_config/TINY",
    `PACKAGES install\nof-${version}\n`,
  );
  return prepare(version);
}

async function up(...args: string[]): Promise<string> {
  const end = await project.run(["up", "--yes", ...args], env);
  expect(end.exitCode, end.output).toBe(0);
  return end.output;
}

async function failingUp(): Promise<string> {
  const end = await project.run(["up", "--yes"], env);
  expect(end.exitCode, end.output).not.toBe(0);
  return end.output;
}

const galleryOf = (name: PlaceName) =>
  `/subscriptions/${subscriptions[name]}/resourceGroups/images/providers/Microsoft.Compute/galleries/debian`;
const imageOf = (name: PlaceName) => `${galleryOf(name)}/images/${image}-daily`;
const versionOf = (name: PlaceName, version: string) =>
  `${imageOf(name)}/versions/${version}`;

async function one(id: string): Promise<Properties> {
  return (await resources.get(id)) ?? expect.fail(`There is no ${id}.`);
}

async function versions(name: PlaceName): Promise<readonly unknown[]> {
  const found = await resources.below(imageOf(name));
  return found.map((each) => each.galleryImageVersionName);
}

async function blobs(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { name } of container.listBlobsFlat()) found.push(name);
  return found.map((name) => name.replace(/-[0-9a-f]{12}\.vhd$/, ""));
}

/** What changed something in Azure. */
async function writes(): Promise<readonly string[]> {
  return [...proxy.writes, ...(await resources.calls())];
}

async function forget(): Promise<void> {
  proxy.reset();
  await resources.forgetCalls();
}

/** Runs until a call of blobs, and kills the engine there: what it had begun ends a little later. */
async function killedAt(call: RegExp, when: { after: number }): Promise<void> {
  let kill = () => {};
  const act = async () => {
    kill();
    await sleep(2000);
  };
  proxy.fail(call, { kind: "meanwhile", act }, when);
  const running = project.start(["up", "--yes"], env);
  kill = running.kill;
  await running.ended;
  await project.run(["cancel", "--yes"], env);
  proxy.reset();
}

/** Runs until something was made, and kills the engine before it hears of that. */
async function killedAfter(kind: string): Promise<void> {
  const made = await resources.keepAnswerBack(kind);
  const running = project.start(["up", "--yes"], env);
  await made();
  running.kill();
  await running.ended;
  await project.run(["cancel", "--yes"], env);
}

/** Does what the next `scripts/up` does first. @returns the IDs of what was removed */
async function orphansRemoved(
  settings: ManagerSettings,
): Promise<readonly string[]> {
  const { output: state } = await project.run(["stack", "export"], env);
  const removed: string[] = [];
  for (const asked of askedForResources(JSON.parse(state))) {
    if (await removeOrphanResource(asked, settings)) removed.push(asked.id);
  }
  return removed;
}

/** A Resource Manager that has the same resources as the stand-in for the plugin. */
async function startManager(files: ResourceFiles) {
  const server = createServer(async ({ method, url = "" }, response) => {
    const { pathname: id } = new URL(url, "http://azure");
    const found = await files.get(id);
    if (method === "DELETE") await files.remove(id);
    response
      .writeHead(found === undefined ? 404 : 200)
      .end(JSON.stringify(found ?? { error: { code: "ResourceNotFound" } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const settings: ManagerSettings = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ patienceSeconds: 5, pauseMilliseconds: 1 },
    token: async () => "any",
  };
  return {
    settings,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe("a stack that publishes to Azure", { timeout: 300_000 }, () => {
  it("publishes versions whose disks were read back, and changes nothing when nothing changed", async () => {
    await configure(
      {
        europe: place("europe", {
          regions: {
            westeurope: { replicas: 2, storage: "Standard_ZRS" },
            northeurope: {},
          },
          community: {
            publicNamePrefix: "teamimages",
            publisherUri: "https://team.example",
            publisherContact: "images@team.example",
            eula: "https://team.example/eula",
          },
        }),
      },
      { endOfLifeDays: 10 },
    );
    const build = await prepare("20261121-0312");
    const preview = await project.run(["preview"], env);
    expect(preview.exitCode, preview.output).toBe(0);
    for (const part of ["blob", "version", "record"]) {
      expect(preview.output).toMatch(
        new RegExp(`${image}-[0-9a-f]{12}-azure-europe-${part} +create`),
      );
    }
    expect(await writes()).toEqual([]);

    const output = await up();
    expect(output).toContain(`${image}-daily 0.20261121.312 in debian, europe`);
    expect(await one(galleryOf("europe"))).toMatchObject({
      sharingProfile: { permissions: "Community" },
      tags: { "cloud-images:stack": "organization/cloud-images/mine" },
    });
    expect(await one(imageOf("europe"))).toMatchObject({
      architecture: "x64",
      hyperVGeneration: "V2",
      osType: "Linux",
      identifier: { publisher: "Team", offer: "debian-13" },
    });
    expect(await one(versionOf("europe", "0.20261121.312"))).toMatchObject({
      publishingProfile: {
        endOfLifeDate: "2026-12-01T00:00:00.000Z",
        excludeFromLatest: false,
        targetRegions: [
          { name: "northeurope", regionalReplicaCount: 1 },
          {
            ...{ name: "westeurope", regionalReplicaCount: 2 },
            storageAccountType: "Standard_ZRS",
          },
        ],
      },
      tags: { "cloud-images:key": build.key },
    });
    const [record] = await listPublications(project.store);
    expect(record).toMatchObject({
      ...{ platform: "azure", place: "europe", version: "20261121-0312" },
      names: {
        imageId: versionOf("europe", "0.20261121.312"),
        name: `${image}-daily 0.20261121.312`,
      },
      verification: { readBlocks: 65, allBlocks: 65 },
    });
    const { output: state } = await project.run(["stack", "export"], env);
    expect(state).not.toContain(azuriteKey);

    await forget();
    expect(await up()).toMatch(/\d+ unchanged/);
    expect(await writes()).toEqual([]);
    const drift = await project.run(
      ["preview", "--refresh", "--expect-no-changes"],
      env,
    );
    expect(drift.exitCode, drift.output).toBe(0);
  });

  it("keeps as many versions as it was told, and withholds one in place", async () => {
    await configure();
    await prepare("20261119-0312");
    await up();
    for (const version of ["20261120-0312", "20261121-0312"]) {
      await prepareNext(version);
      await forget();
      await up();
    }
    expect(await versions("europe")).toEqual([
      ...["0.20261120.312", "0.20261121.312"],
    ]);
    expect(await blobs()).toEqual([
      `europe/${image}-daily-20261120-0312`,
      `europe/${image}-daily-20261121-0312`,
    ]);
    const calls = await resources.calls();
    expect(calls.indexOf("DELETE 0.20261119.312")).toBeGreaterThan(
      calls.indexOf("PUT 0.20261121.312"),
    );

    await configure(undefined, { withheld: ["20261121-0312"] });
    await forget();
    await up();
    expect(await writes()).toEqual(["PUT 0.20261121.312"]);
    expect(await one(versionOf("europe", "0.20261121.312"))).toMatchObject({
      publishingProfile: { excludeFromLatest: true },
    });
  });

  it("repairs what was changed by hand, and leaves nothing when it goes", async () => {
    await configure();
    await prepare("20261121-0312");
    await up();
    const id = versionOf("europe", "0.20261121.312");
    const { id: _, ...version } = await one(id);
    await resources.put(id, {
      ...version,
      publishingProfile: {
        ...(version.publishingProfile as Properties),
        excludeFromLatest: true,
      },
    });
    const drift = () =>
      project.run(["preview", "--refresh", "--expect-no-changes"], env);
    expect((await drift()).exitCode).not.toBe(0);
    await up("--refresh");
    expect(await one(id)).toMatchObject({
      publishingProfile: { excludeFromLatest: false },
    });

    await resources.remove(id);
    for await (const { name } of container.listBlobsFlat()) {
      await container.getBlobClient(name).delete();
    }
    expect((await drift()).exitCode).not.toBe(0);
    await up("--refresh");
    await one(id);
    expect(await blobs()).toHaveLength(1);
    expect(await up("--refresh")).toMatch(/\d+ unchanged/);

    await forget();
    const { exitCode, output } = await project.run(["destroy", "--yes"], env);
    expect(exitCode, output).toBe(0);
    expect(await resources.below(galleryOf("europe"))).toEqual([]);
    expect(await resources.get(galleryOf("europe"))).toBeUndefined();
    expect(await blobs()).toEqual([]);
    expect(await listPublications(project.store)).toEqual([]);
  });

  it("leaves the other place alone when one refuses everything, and goes on when it is back", async () => {
    await configure({ europe: place("europe"), america: place("america") });
    await prepare("20261120-0312");
    await up();
    await prepareNext("20261121-0312");
    await resources.setDown(subscriptions.america, true);
    expect(await failingUp()).toContain("AuthorizationFailed");
    expect(await versions("europe")).toHaveLength(2);
    expect(await versions("america")).toEqual(["0.20261120.312"]);
    await resources.setDown(subscriptions.america, false);
    await forget();
    await up();
    expect(await versions("america")).toHaveLength(2);
    expect(proxy.sentBytes).toBe(0);
  });

  it("leaves alone a gallery that is somebody else's, and uses one that it is told of", async () => {
    await resources.put(galleryOf("europe"), { galleryName: "debian" });
    await configure();
    await prepare("20261121-0312");
    expect(await failingUp()).toContain("already existing resource");
    await configure({ europe: place("europe", { existingGallery: true }) });
    await up();
    expect(await versions("europe")).toEqual(["0.20261121.312"]);
    const { exitCode, output } = await project.run(["destroy", "--yes"], env);
    expect(exitCode, output).toBe(0);
    expect(await one(galleryOf("europe"))).toEqual({
      ...{ galleryName: "debian", id: galleryOf("europe") },
    });
  });

  it("leaves alone a version that has the name and is somebody else's", async () => {
    await configure();
    await prepare("20261121-0312");
    const id = versionOf("europe", "0.20261121.312");
    await resources.put(id, { galleryImageVersionName: "0.20261121.312" });
    expect(await failingUp()).toContain("already existing resource");
    expect(await one(id)).toMatchObject({
      galleryImageVersionName: "0.20261121.312",
    });
    expect(await listPublications(project.store)).toEqual([]);
  });

  it("goes on wherever it was killed, doubles nothing, and touches nothing of others", async () => {
    await configure();
    await prepare("20261121-0312");
    const theirs = container.getPageBlobClient("europe/theirs.vhd");
    await theirs.create(512);
    const foreign = galleryOf("europe").replace(/debian$/, "theirs");
    await resources.put(foreign, { galleryName: "theirs", tags: {} });
    await using manager = await startManager(resources);
    const others = { theirs: await theirs.getProperties() };

    // Of the disk nothing is done meanwhile.
    proxy.fail(/images/, { kind: "silent" }, { times: 1000 });
    await killedAfter("Gallery");
    expect(await orphansRemoved(manager.settings)).toEqual([
      galleryOf("europe"),
    ]);
    await killedAfter("GalleryImage");
    expect(await orphansRemoved(manager.settings)).toEqual([imageOf("europe")]);
    proxy.reset();
    for (const call of [/^PUT images/, /^PUT page /, /^GET images/]) {
      await killedAt(call, { after: 0 });
      expect(await orphansRemoved(manager.settings)).toEqual([]);
    }
    await killedAt(/^PUT metadata /, { after: 0 });
    await killedAfter("GalleryImageVersion");
    expect(await orphansRemoved(manager.settings)).toEqual([
      versionOf("europe", "0.20261121.312"),
    ]);
    await up();

    expect(await versions("europe")).toEqual(["0.20261121.312"]);
    expect(await resources.below(galleryOf("europe"))).toHaveLength(2);
    expect(await blobs()).toEqual([
      ...[`europe/${image}-daily-20261121-0312`, "europe/theirs.vhd"],
    ]);
    expect(await listPublications(project.store)).toHaveLength(1);
    expect(await one(foreign)).toMatchObject({ galleryName: "theirs" });
    expect((await theirs.getProperties()).etag).toBe(others.theirs.etag);
    await forget();
    expect(await up()).toMatch(/\d+ unchanged/);
    expect(await writes()).toEqual([]);
  });

  it("leaves nothing of an upload that was killed and that nobody goes on with", async () => {
    await configure();
    await prepare("20261120-0312");
    await killedAt(/^PUT page/, { after: 1 });
    expect(await blobs()).toEqual([`europe/${image}-daily-20261120-0312`]);
    const theirs = container.getPageBlobClient("europe/theirs.vhd");
    await theirs.create(512);
    await prepareNext("20261121-0312");
    await up();
    const { output: state } = await project.run(["stack", "export"], env);
    const remove = () =>
      project.runScript("remove-abandoned.ts", [], { env, input: state });
    expect(await remove()).toMatchObject({
      exitCode: 0,
      output: expect.stringContaining("nobody wants it any more"),
    });
    expect(await blobs()).toEqual([
      ...[`europe/${image}-daily-20261121-0312`, "europe/theirs.vhd"],
    ]);
    expect((await remove()).exitCode).toBe(0);
    await theirs.delete();
    expect(await versions("europe")).toEqual(["0.20261121.312"]);
  });

  it("goes on with what a failed upload had begun, or leaves nothing of it, as the next run wants", async () => {
    await configure();
    const theirs = container.getPageBlobClient("europe/theirs.vhd");
    await theirs.create(512);
    const { etag } = await theirs.getProperties();
    const keptBlobs = async () => {
      const { output } = await project.run(["stack", "export"], env);
      return output.match(/"id": "[^"]*\.vhd"/g) ?? [];
    };
    const refusal = { kind: "answer", status: 401, code: "NoToken" } as const;
    const cutOff = () =>
      proxy.fail(/^PUT page /, refusal, { after: 1, times: 1000 });

    // Nothing was made.
    await prepare("20261119-0312");
    proxy.fail(/^PUT images/, refusal, { times: 1000 });
    await failingUp();
    expect(await keptBlobs()).toEqual([]);
    proxy.reset();

    cutOff();
    expect(await failingUp()).toContain("have run out");
    const first = `europe/${image}-daily-20261119-0312`;
    expect(await blobs()).toEqual([first, "europe/theirs.vhd"]);
    expect(await listPlaceFailures(project.store)).toMatchObject([
      { place: "europe", message: expect.stringContaining("have run out") },
    ]);
    expect(await keptBlobs()).toHaveLength(1);
    await forget();
    expect(await up("--refresh")).toMatch(/-azure-europe-blob updated/);
    expect(await writes()).not.toContainEqual(
      expect.stringMatching(/^PUT images/),
    );
    expect(await versions("europe")).toEqual(["0.20261119.312"]);
    expect(await listPlaceFailures(project.store)).toEqual([]);

    await prepareNext("20261120-0312");
    cutOff();
    await failingUp();
    const begun = `europe/${image}-daily-20261120-0312`;
    expect(await blobs()).toEqual([first, begun, "europe/theirs.vhd"]);
    proxy.reset();
    await prepareNext("20261121-0312");
    await up();
    expect(await blobs()).toEqual([
      ...[first, `europe/${image}-daily-20261121-0312`, "europe/theirs.vhd"],
    ]);
    expect(await keptBlobs()).toHaveLength(2);
    expect(await versions("europe")).toHaveLength(2);
    expect((await theirs.getProperties()).etag).toBe(etag);
  });

  it("refuses a misspelt region before anything is touched", async () => {
    await configure({ europe: place("europe", { location: "westeuropa" }) });
    const output = await failingUp();
    expect(output).toContain("must be the name of a region of Azure");
    expect(output).toContain("azure.places.europe.location");
    expect(await writes()).toEqual([]);
  });
});
