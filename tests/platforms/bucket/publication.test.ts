import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
} from "vitest";
import { s3Addresses } from "../../../infra/aws/bucketAddress.ts";
import { StoreError } from "../../../infra/errors.ts";
import {
  type BucketPublicationInputs,
  examine,
  publish,
  withdraw,
} from "../../../infra/platforms/bucket/publication.ts";
import { DirectoryStore } from "../../../infra/store/directoryStore.ts";
import { listPublications } from "../../../infra/store/documents.ts";
import type { ProxyRule } from "../../servers/awsProxy.ts";
import { StrictBucket } from "../../servers/bucket.ts";
import { runUntilReady } from "../../store/killed.ts";
import {
  type SampleImage,
  sampleDefinition,
  sampleKey,
  storeBuild,
  usualFormats,
} from "../../store/records.ts";

const bucket = "published";
const region = "eu-central-1";

let server: StrictBucket;
let client: S3Client;

beforeAll(async () => {
  server = await StrictBucket.start(bucket);
  client = server.client;
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

let top: string;
let tests = 0;
let prefix: string;
let store: DirectoryStore;
const faults: (() => void)[] = [];

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "bucket-"));
  prefix = `site/${++tests}`;
  store = new DirectoryStore(join(top, "store"));
  server.proxy.forget();
});
afterEach(async () => {
  for (const mend of faults.splice(0)) mend();
  await rm(top, { recursive: true, force: true });
});

const image = "trixie/20261121-1/debian-13-genericcloud-amd64-20261121-1";
const newest = "trixie/latest/debian-13-genericcloud-amd64";

/** What a resource for the sample is given. */
function inputsFor(sample: SampleImage = {}): BucketPublicationInputs {
  const { name, release, bootCheck } = sampleDefinition(sample);
  return {
    stack: "organization/cloud-images/local",
    root: s3Addresses.of({
      bucket,
      prefix,
      region,
      endpoint: server.proxy.url,
    }),
    store: store.location,
    key: sampleKey(sample),
    version: (sample.version ??
      "20261121-1") as BucketPublicationInputs["version"],
    release: release.codename,
    channel: sample.channel ?? "release",
    definition: name,
    formats: sample.formats ?? usualFormats,
    firmware: bootCheck.firmware,
  };
}

async function publishNew(sample: SampleImage = {}) {
  await storeBuild(store, sample);
  await publish(inputsFor(sample));
  return inputsFor(sample);
}

const object = (path: string) => ({ Bucket: bucket, Key: `${prefix}/${path}` });

const put = (path: string, Body: string, Metadata = {}) =>
  client.send(
    new PutObjectCommand({
      ...{ ...object(path), Body, Metadata },
      ChecksumAlgorithm: "SHA256",
    }),
  );

async function read(path: string): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand(object(path)));
  return (await Body?.transformToString()) ?? "";
}

const head = (path: string) => client.send(new HeadObjectCommand(object(path)));

/** Every path of the tree. */
async function tree(): Promise<string[]> {
  const { Contents = [] } = await client.send(
    new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/` }),
  );
  return Contents.map(({ Key = "" }) => Key.slice(prefix.length + 1));
}

/** Fetches a directory of the tree, as a user would, and lets sha512sum judge it. */
async function checkSums(directory: string): Promise<string> {
  const paths = (await tree()).filter((path) => path.startsWith(directory));
  for (const path of paths) {
    const { Body } = await client.send(new GetObjectCommand(object(path)));
    const file = join(top, "fetched", path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, (await Body?.transformToByteArray()) ?? "");
  }
  return execFileSync("sha512sum", ["--check", "--strict", "SHA512SUMS"], {
    cwd: join(top, "fetched", directory),
    encoding: "utf8",
  });
}

const breakBy = (rule: ProxyRule) => faults.push(server.proxy.add(rule));

/** Calls that would change the bucket. */
const changes = () =>
  server.proxy
    .actions()
    .filter((action) => !/:(GET|HEAD|GetObject)$/.test(action));

const failureOf = async (promise: Promise<unknown>) => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  return (error as StoreError).message;
};

describe("a tree in a bucket", () => {
  it("has the names that it has in a directory, and copies as `latest`", async () => {
    await publishNew();
    const suffixes = [
      ...["boot-bios.log", "boot-bios.png", "boot-bios.xml"],
      ...["boot-uefi.log", "boot-uefi.png", "boot-uefi.xml"],
      ...["json", "packages.txt", "qcow2", "tar.zst"],
    ];
    expect(await tree()).toEqual([
      "index.html",
      "index.json",
      "trixie/20261121-1/SHA512SUMS",
      ...suffixes.map((suffix) => `${image}.${suffix}`),
      "trixie/latest/SHA512SUMS",
      ...suffixes.map((suffix) => `${newest}.${suffix}`),
    ]);
  });

  it("passes sha512sum after download, by its dated name and by latest", async () => {
    await publishNew();
    await publishNew({ variant: "nocloud" });
    expect((await checkSums("trixie/20261121-1")).match(/: OK/g)).toHaveLength(
      20,
    );
    expect(await checkSums("trixie/latest")).toMatch(
      /^debian-13-genericcloud-amd64\.qcow2: OK$/m,
    );
  });

  it("tells browsers what files are, and caches how long they stay the same", async () => {
    await publishNew();
    const headers = async (path: string) => {
      const { ContentType, CacheControl } = await head(path);
      return [ContentType, CacheControl];
    };
    const lasting = "public, max-age=31536000, immutable";
    const short = "public, max-age=300";
    const text = "text/plain; charset=utf-8";
    expect(await headers(`${image}.qcow2`)).toEqual([
      "application/x-qemu-disk",
      lasting,
    ]);
    expect(await headers(`${newest}.qcow2`)).toEqual([
      "application/x-qemu-disk",
      short,
    ]);
    expect(await headers(`${image}.json`)).toEqual(["application/json", short]);
    expect(await headers("index.html")).toEqual([
      "text/html; charset=utf-8",
      short,
    ]);
    expect(await headers("trixie/20261121-1/SHA512SUMS")).toEqual([
      text,
      short,
    ]);
    expect(await headers("trixie/latest/SHA512SUMS")).toEqual([text, short]);
  });

  it("has a page whose links all lead somewhere", async () => {
    await publishNew();
    const page = await read("index.html");
    const links = [...page.matchAll(/ href="(?!data:|#)([^"]+)"/g)].map(
      ([, to]) => to,
    );
    expect(links.length).toBeGreaterThan(10);
    const paths = await tree();
    for (const link of links) expect(paths).toContain(link);
    expect(await read("index.json")).not.toContain(server.proxy.url);
  });

  it("is as it should be, which is seen without reading images or writing anything", async () => {
    const inputs = await publishNew();
    server.proxy.forget();
    expect(await examine(inputs)).toEqual([]);
    expect(changes()).toEqual([]);
    // Texts: two indexes and two SHA512SUMS.
    expect(server.proxy.count("s3", "GetObject")).toBe(4);
  });

  it("is left alone when it is published again", async () => {
    const inputs = await publishNew();
    server.proxy.forget();
    await publish(inputs);
    expect(changes()).toEqual([]);
  });

  it("goes one by one: latest falls back, and the last leaves nothing", async () => {
    const first = await publishNew({ version: "20261120-1" });
    const second = await publishNew({ version: "20261121-1" });
    const other = await publishNew({ release: "bookworm" });
    const dated = (version: string) =>
      read(`trixie/${version}/debian-13-genericcloud-amd64-${version}.qcow2`);
    expect(await read(`${newest}.qcow2`)).toBe(await dated("20261121-1"));
    const fallback = await dated("20261120-1");
    await withdraw(second);
    expect(await read(`${newest}.qcow2`)).toBe(fallback);
    await checkSums("trixie/latest");
    expect(await examine(first)).toEqual([]);
    await withdraw(first);
    expect((await tree()).filter((path) => /^trixie/.test(path))).toEqual([]);
    await withdraw(other);
    await withdraw(other);
    expect(await tree()).toEqual([]);
    expect(await listPublications(store)).toEqual([]);
  });

  it("has several images that are published at the same time", async () => {
    const samples = ["genericcloud", "generic", "nocloud"].map((variant) => ({
      variant,
    }));
    for (const sample of samples) await storeBuild(store, sample);
    await Promise.all(samples.map((sample) => publish(inputsFor(sample))));
    for (const sample of samples) {
      expect(await examine(inputsFor(sample))).toEqual([]);
    }
    expect((await checkSums("trixie/latest")).match(/: OK/g)).toHaveLength(30);
  });
});

describe("damage in a bucket", () => {
  it.each([
    [`${image}.qcow2`, `${image}.qcow2`],
    [`${image}.json`, `${image}.json`],
    ["index.html", "index.html"],
  ])("to %s that is missing is found and mended", async (path, named) => {
    const inputs = await publishNew();
    await client.send(new DeleteObjectCommand(object(path)));
    expect(await examine(inputs)).toEqual([`${named} is missing`]);
    await publish(inputs);
    expect(await examine(inputs)).toEqual([]);
  });

  it("to an image is found, whatever it says of itself, and mended", async () => {
    const inputs = await publishNew();
    const before = await read(`${image}.qcow2`);
    const { Metadata } = await head(`${image}.qcow2`);
    for (const metadata of [Metadata, {}]) {
      await put(`${image}.qcow2`, "altered", metadata);
      expect(await examine(inputs)).toEqual([`${image}.qcow2 was altered`]);
      await publish(inputs);
      expect(await examine(inputs)).toEqual([]);
      expect(await read(`${image}.qcow2`)).toBe(before);
    }
  });

  it("is none in a copy of the same bytes by other means", async () => {
    const inputs = await publishNew();
    await put(`${image}.qcow2`, await read(`${image}.qcow2`));
    expect(await examine(inputs)).toEqual([]);
  });

  it.each([`${newest}.qcow2`, "trixie/latest/SHA512SUMS"])(
    "to %s is found and mended",
    async (path) => {
      const inputs = await publishNew();
      await put(path, "altered");
      const found = ["trixie/latest is not what the records give"];
      expect(await examine(inputs)).toEqual(found);
      await publish(inputs);
      expect(await examine(inputs)).toEqual([]);
      await client.send(new DeleteObjectCommand(object(path)));
      expect(await examine(inputs)).toEqual(found);
      await publish(inputs);
      await checkSums("trixie/latest");
    },
  );

  it("is mended without sending what is well", async () => {
    const inputs = await publishNew();
    await put(`${image}.qcow2`, "altered");
    server.proxy.forget();
    await publish(inputs);
    expect(server.proxy.count("s3", "PutObject")).toBe(1);
  });
});

describe("somebody else's object", () => {
  it.each([`${image}.qcow2`, "index.html", "index.json"])(
    "%s stays, and is named",
    async (path) => {
      await storeBuild(store);
      await put(path, "mine");
      const message = await failureOf(publish(inputsFor()));
      expect(message).toContain(`s3://${bucket}/${prefix}/${path} exists`);
      expect(await read(path)).toBe("mine");
      expect(await tree()).toEqual([path]);
      expect(await listPublications(store)).toEqual([]);
    },
  );

  it("in the place of latest stays, and is named", async () => {
    await storeBuild(store);
    await put("trixie/latest/mine", "mine");
    expect(await failureOf(publish(inputsFor()))).toMatch(/trixie\/latest exi/);
    expect(await tree()).toEqual(["trixie/latest/mine"]);
  });

  it("that comes at the last moment stays, too", async () => {
    await storeBuild(store);
    const path = `${image}.qcow2`;
    breakBy({
      matches: ({ method, path: at }) => method === "PUT" && at.includes(path),
      async act(call, forward) {
        await put(path, "mine");
        return forward(call);
      },
    });
    expect(await failureOf(publish(inputsFor()))).toMatch(
      /qcow2 was put there by somebody else at this moment/,
    );
    expect(await read(path)).toBe("mine");
    expect(await listPublications(store)).toEqual([]);
  });

  it("beside ours stays when all of ours go", async () => {
    const inputs = await publishNew();
    const foreign = [
      "robots.txt",
      "trixie/20261121-1/NOTES",
      "trixie/latest/NOTES",
    ];
    for (const path of foreign) await put(path, "mine");
    expect(await examine(inputs)).toEqual([]);
    await withdraw(inputs);
    expect(await tree()).toEqual(foreign);
  });

  it("bucket may not have the same version of the same store", async () => {
    const inputs = await publishNew();
    const root = s3Addresses.of({ bucket: "other", region });
    expect(await failureOf(publish({ ...inputs, root }))).toMatch(
      /is published in s3:\/\/published/,
    );
  });

  it("way to the same bucket is the same publication", async () => {
    const inputs = await publishNew();
    const place = { bucket, prefix, region, endpoint: server.proxy.url };
    const root = s3Addresses.of({ ...place, account: "123456789012" });
    expect(await examine({ ...inputs, root })).toEqual([]);
  });
});

describe("a publisher to a bucket that is killed", () => {
  const killAfter = async (call: string, requests: number) => {
    server.proxy.forget();
    const child = await runUntilReady(`
      import { publish, withdraw } from "./infra/platforms/bucket/publication.ts";
      console.log("ready");
      await ${call}(${JSON.stringify(inputsFor())});
    `);
    const ended = once(child, "exit");
    while (server.proxy.calls.length < requests) await sleep(2);
    child.kill("SIGKILL");
    await ended;
    // The next run would wait until the dead holder's lock counts as stale.
    await rm(join(store.location, "locks"), { recursive: true, force: true });
  };

  it("at any moment leaves what the next run completes, and takes away", async () => {
    await storeBuild(store);
    for (const requests of [5, 30, 60]) {
      await killAfter("publish", requests);
      await publish(inputsFor());
      expect(await examine(inputsFor())).toEqual([]);
      await killAfter("withdraw", requests / 5);
      await withdraw(inputsFor());
      expect(await tree()).toEqual([]);
    }
    const { Uploads = [] } = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket }),
    );
    expect(Uploads).toEqual([]);
  });
});
