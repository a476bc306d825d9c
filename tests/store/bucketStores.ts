import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { zstdCompressSync } from "node:zlib";
import {
  GetObjectCommand,
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
import type { BucketAccess } from "../../infra/aws/s3Failure.ts";
import { StoreError } from "../../infra/errors.ts";
import { S3Store } from "../../infra/store/s3Store.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import {
  corruptRequest,
  cutAfter,
  delay,
  firstCalls,
  refuse,
  serverError,
  throttle,
} from "../servers/awsFaults.ts";
import { type ApiCall, AwsProxy, type ProxyRule } from "../servers/awsProxy.ts";
import { makeBucket } from "../servers/bucket.ts";
import type { LocalServer } from "../servers/localServer.ts";
import { startMoto } from "../servers/moto.ts";
import { StrictS3 } from "../servers/strictS3.ts";
import { describeStore, sha256Of } from "./conformance.ts";
import { runUntilReady } from "./killed.ts";

/** Of holders that die: long enough for a busy machine, and waited for. */
const shortLeaseSeconds = 2;

let serverDirectory: string;
let moto: LocalServer;
let proxy: AwsProxy;
let access: BucketAccess;
let client: S3Client;

beforeAll(async () => {
  serverDirectory = await mkdtemp(join(tmpdir(), "s3-store-moto-"));
  moto = await startMoto(serverDirectory);
  proxy = await AwsProxy.start(moto.url, [new StrictS3("eu-central-1")]);
  ({ client } = await makeBucket(moto.url, "images"));
  access = { bucket: "images", region: "eu-central-1", endpoint: proxy.url };
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await moto?.[Symbol.asyncDispose]();
  await rm(serverDirectory, { recursive: true, force: true });
});

let top: string;
let tests = 0;
let prefix: string;
let store: S3Store;
const faults: (() => void)[] = [];

/** As another machine would open it: with a cache of its own. */
const open = (
  machine: string,
  changed: Partial<BucketAccess> = {},
  leaseSeconds = 30,
) =>
  new S3Store(
    { ...access, prefix, ...changed },
    { cache: join(top, machine), leaseSeconds },
  );

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "s3-store-"));
  prefix = `test/${++tests}`;
  store = open("here");
  proxy.forget();
});
afterEach(async () => {
  for (const mend of faults.splice(0)) mend();
  await rm(top, { recursive: true, force: true });
});

const breakBy = (rule: ProxyRule) => faults.push(proxy.add(rule));

/** Calls of that kind for keys below the store's prefix that begin so. */
const about =
  (method: string, name: string) =>
  (call: ApiCall): boolean =>
    call.service === "s3" &&
    call.method === method &&
    call.path.startsWith(`/images/${prefix}/${name}`);

const artifactKey = (sha256: Sha256) => ({
  Bucket: "images",
  Key: `${prefix}/artifacts/${sha256}`,
});

async function adopt(bytes: string | Uint8Array, into = store) {
  return into.withIncoming(async (directory) => {
    const path = join(directory, "file");
    await writeFile(path, bytes);
    return into.adopt(path);
  });
}

/** The store's objects, by what follows the prefix. */
async function keys(): Promise<string[]> {
  const { Contents = [] } = await client.send(
    new ListObjectsV2Command({ Bucket: "images", Prefix: `${prefix}/` }),
  );
  return Contents.map(({ Key = "" }) => Key.slice(prefix.length + 1));
}

async function unfinishedUploads(): Promise<number> {
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: "images", Prefix: prefix }),
  );
  return Uploads.length;
}

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

/** Bytes that do not compress, and need two parts. */
const large = randomBytes(9 * 1024 * 1024);

describeStore("a store in a bucket", async () => ({
  store,
  reopen: () => open("elsewhere"),
  alter: async (sha256) => {
    const key = artifactKey(sha256);
    const { Metadata } = await client.send(new GetObjectCommand(key));
    await client.send(
      new PutObjectCommand({
        ...{ ...key, Metadata },
        Body: "bad!",
        ChecksumAlgorithm: "SHA256",
      }),
    );
  },
}));

describe("artifacts in a bucket", () => {
  it("that one machine put there are used on another, with holes and little traffic", async () => {
    const { sha256, sizeBytes } = await store.withIncoming(
      async (directory) => {
        const path = join(directory, "disk.raw");
        await writeFile(path, "boot");
        await truncate(path, 64 * 1024 * 1024);
        return store.adopt(path);
      },
    );
    const path = await open("elsewhere").file(sha256);
    expect(path).toContain("elsewhere");
    expect((await readFile(path)).subarray(0, 4).toString()).toBe("boot");
    const { size, blocks, mode } = await stat(path);
    expect(size).toBe(sizeBytes);
    expect(blocks * 512).toBeLessThan(1024 * 1024);
    expect(mode & 0o777).toBe(0o444);
    const { ContentLength } = await client.send(
      new GetObjectCommand(artifactKey(sha256)),
    );
    expect(ContentLength).toBeLessThan(64 * 1024);
  });

  it("go in parts when they are large, and are examined without reading them", async () => {
    const { sha256 } = await adopt(large);
    expect(proxy.count("s3", "UploadPart")).toBe(2);
    proxy.forget();
    expect(await store.examine(sha256)).toBe("sound");
    expect(proxy.calls.map(({ action }) => action)).toEqual(["HEAD"]);
    const copy = await readFile(await open("elsewhere").file(sha256));
    expect(copy.equals(large)).toBe(true);
  });

  it("that are sound are not sent again, nor fetched twice", async () => {
    const { sha256 } = await adopt("same");
    proxy.forget();
    await adopt("same", open("elsewhere"));
    expect(proxy.actions()).toEqual(["s3:HEAD"]);
    const third = open("third");
    await third.file(sha256);
    await third.file(sha256);
    expect(proxy.count("s3", "GetObject")).toBe(1);
  });

  it("that came there in another way are read as a whole to be examined", async () => {
    const right = sha256Of("right");
    const put = (Body: Uint8Array) =>
      client.send(new PutObjectCommand({ ...artifactKey(right), Body }));
    await put(zstdCompressSync("right"));
    expect(await store.examine(right)).toBe("sound");
    await put(zstdCompressSync("wrong"));
    expect(await store.examine(right)).toBe("altered");
    await put(Buffer.from("not compressed"));
    expect(await store.examine(right)).toBe("altered");
    await put(zstdCompressSync("right").subarray(0, -2));
    expect(await store.examine(right)).toBe("altered");
  });

  it.each([
    ["other bytes", zstdCompressSync("wrong")],
    ["bytes that are not compressed", Buffer.from("wrong")],
    ["too few bytes", zstdCompressSync(randomBytes(99999)).subarray(0, 50_000)],
  ])("with %s are not handed out", async (_, Body) => {
    const { sha256 } = await adopt("right");
    await client.send(new PutObjectCommand({ ...artifactKey(sha256), Body }));
    const other = open("elsewhere");
    const failure = await failureOf(other.file(sha256));
    expect(failure.message).toMatch(
      new RegExp(`${sha256} was altered: it .*Remove it, refresh`),
    );
    expect(existsSync(join(top, "elsewhere"))).toBe(false);
  });

  it("that left the bucket are missing, though the cache has them", async () => {
    const { sha256 } = await adopt("gone");
    await open("elsewhere").discard(sha256);
    expect(await store.examine(sha256)).toBe("missing");
    const failure = await failureOf(store.file(sha256));
    expect(failure.message).toMatch(/pulumi up/);
  });

  it("leave nothing in the bucket but themselves, and nothing when they are discarded", async () => {
    const { sha256 } = await adopt("one");
    expect(await keys()).toEqual([`artifacts/${sha256}`]);
    await store.discard(sha256);
    expect(await keys()).toEqual([]);
    expect(existsSync(join(top, "here"))).toBe(false);
  });
});

describe("a cache", () => {
  const dayMilliseconds = 24 * 60 * 60 * 1000;
  const withLimits = (days: number, bytes: number) =>
    new S3Store(
      { ...access, prefix },
      { cache: join(top, "here"), cacheLimits: { days, bytes } },
    );
  const cached = (sha256: Sha256) => join(top, "here/artifacts", sha256);
  const unusedFor = (sha256: Sha256, days: number) => {
    const then = new Date(Date.now() - days * dayMilliseconds);
    return utimes(cached(sha256), then, then);
  };

  it("loses what was not used for days, and fetches it when it is used again", async () => {
    const small = withLimits(7, 1e9);
    const old = await adopt("old", small);
    const used = await adopt("used", small);
    await unusedFor(old.sha256, 8);
    await unusedFor(used.sha256, 8);
    await small.file(used.sha256);
    await adopt("new", small);
    expect(existsSync(cached(old.sha256))).toBe(false);
    expect(existsSync(cached(used.sha256))).toBe(true);
    expect(await readFile(await small.file(old.sha256), "utf8")).toBe("old");
  });

  it("stays below a size, but keeps what may be in use", async () => {
    const small = withLimits(7, 2 * 1024 * 1024);
    const [one, two] = [randomBytes(1.5e6), randomBytes(1.5e6)];
    const first = await adopt(one, small);
    await adopt(two, small);
    expect(existsSync(cached(first.sha256))).toBe(true);
    await unusedFor(first.sha256, 2);
    await adopt("third", small);
    expect(existsSync(cached(first.sha256))).toBe(false);
  });
});

describe("bad luck with a bucket", () => {
  it("of bytes that change on their way is noticed by the server, and leaves nothing", async () => {
    breakBy(firstCalls(1, corruptRequest(about("PUT", "artifacts/"))));
    const failure = await failureOf(adopt(large));
    expect(failure.message).toMatch(/not those that were sent \(BadDigest\)/);
    expect(await keys()).toEqual([]);
    expect(await unfinishedUploads()).toBe(0);
    await adopt(large);
  });

  it("of a server that keeps other bytes than it took is noticed here", async () => {
    breakBy({
      matches: about("PUT", "artifacts/"),
      act: (call, forward) =>
        forward({
          ...call,
          body: Buffer.from("junk"),
          headers: {
            ...call.headers,
            "x-amz-checksum-sha256": Buffer.from(
              sha256Of("junk"),
              "hex",
            ).toString("base64"),
          },
        }),
    });
    const failure = await failureOf(adopt("good"));
    expect(failure.message).toMatch(/is not what was sent: S3 has 4 bytes/);
    expect(await keys()).toEqual([]);
  });

  it("of connections that break off is made up for from where they broke", async () => {
    const { sha256 } = await adopt(large);
    proxy.forget();
    let cuts = 0;
    breakBy({
      matches: (call) => about("GET", "artifacts/")(call) && cuts++ < 3,
      async act(call, forward) {
        const answer = await forward(call);
        return answer === "cut"
          ? answer
          : { ...answer, cutAfterBytes: 3_000_000 };
      },
    });
    const copy = await readFile(await open("elsewhere").file(sha256));
    expect(copy.equals(large)).toBe(true);
    expect(proxy.count("s3", "GetObject")).toBe(4);
  });

  it("of throttling and errors that pass goes unnoticed", async () => {
    breakBy(firstCalls(2, throttle(about("PUT", "artifacts/"))));
    breakBy(firstCalls(2, serverError(about("HEAD", "artifacts/"))));
    const { sha256 } = await adopt("patience");
    expect(await store.examine(sha256)).toBe("sound");
  });

  it("of an answer that is lost is no lost update, and no lost lock", async () => {
    breakBy(firstCalls(1, cutAfter(about("PUT", "documents/"))));
    breakBy(firstCalls(1, cutAfter(about("PUT", "locks/"))));
    await store.withLock("door", 1, async () => {
      expect(await store.read("a")).toBeUndefined();
      await store.write("a", "text");
    });
    expect(await store.read("a")).toBe("text");
    expect(proxy.count("s3", "PutObject")).toBe(4);
    expect(await keys()).toEqual(["documents/a"]);
  });

  it.each<[string, Partial<BucketAccess>, RegExp]>([
    [
      "there is no such bucket",
      { bucket: "imagse" },
      /there is no bucket imagse\. Make it, or correct its name/,
    ],
    [
      "it is in another region",
      { region: "us-east-1" },
      /is not in the region us-east-1.*Correct the region/,
    ],
    [
      "nobody answers",
      { endpoint: "http://127.0.0.1:9" },
      /http:\/\/127\.0\.0\.1:9 cannot be reached \(ECONNREFUSED\)/,
    ],
  ])("is told, with the cure: %s", async (_, changed, said) => {
    const wrong = open("here", changed);
    const tries = [
      () => wrong.list(""),
      () => wrong.examine(sha256Of("x")),
      () => wrong.write("a", "text"),
      () => wrong.withLock("door", 1, async () => {}),
    ];
    const failures = await Promise.all(tries.map((each) => failureOf(each())));
    for (const { message } of failures) expect(message).toMatch(said);
  });

  it.each<[string, number, RegExp]>([
    ["AccessDenied", 403, /may not do that \(.*permissions/],
    ["ExpiredToken", 400, /have run out\. Log in again/],
    ["InvalidAccessKeyId", 403, /does not take the AWS credentials/],
  ])("of credentials is told without them: %s", async (code, status, said) => {
    const key = process.env.AWS_ACCESS_KEY_ID ?? "";
    const message = `The key ${key} is not good.`;
    breakBy(refuse(about("PUT", "documents/"), code, message, status));
    const failure = await failureOf(store.write("a", "text"));
    expect(failure.message).toMatch(said);
    expect(inspect(failure, { depth: 9 })).not.toContain(key);
    expect(inspect(failure)).not.toContain(process.env.AWS_SECRET_ACCESS_KEY);
  });
});

describe("locks in a bucket", () => {
  it("stay with a holder that needs them longer than a lease", async () => {
    let inside = true;
    const held = open("here", {}, shortLeaseSeconds).withLock(
      "door",
      1,
      async () => {
        await sleep(shortLeaseSeconds * 1500);
        inside = false;
      },
    );
    await sleep(200);
    await open("elsewhere").withLock("door", 10, async () => {
      expect(inside).toBe(false);
    });
    await held;
    expect(await keys()).toEqual([]);
  });

  it("that were lost are taken over, and their holder writes nothing more", async () => {
    const direct = open("elsewhere", { endpoint: moto.url });
    const slow = open("here", {}, shortLeaseSeconds);
    const failure = await failureOf(
      slow.withLock("door", 1, async () => {
        await slow.write("a", "before");
        breakBy({ matches: about("PUT", "locks/"), act: () => "cut" });
        await direct.withLock("door", 10, async () => {
          await direct.write("a", "theirs");
        });
        await slow.write("a", "too late");
      }),
    );
    expect(failure.message).toMatch(/"door" .* was lost .*Run again/);
    expect(await store.read("a")).toBe("theirs");
    expect(await keys()).toEqual(["documents/a"]);
  });

  it("protect what was read under them from those who ask for none", async () => {
    await store.write("a", "old");
    const failure = await failureOf(
      store.withLock("door", 1, async () => {
        expect(await store.read("a")).toBe("old");
        await open("elsewhere").write("a", "theirs");
        await store.write("a", "mine");
      }),
    );
    expect(failure.message).toMatch(/a .* was changed by somebody else/);
    expect(await store.read("a")).toBe("theirs");
  });

  it("may be used for several writes of what was read", async () => {
    await store.withLock("door", 1, async () => {
      for (const text of ["1", "2", "3"]) {
        await store.read("a");
        await store.write("a", text);
        await store.write("a", `${text}!`);
      }
      await store.remove("a");
      await store.write("a", "end");
    });
    expect(await store.read("a")).toBe("end");
  });
});

describe("processes that share a bucket", () => {
  const program = (machine: string, body: string) => `
    import { copyFile } from "node:fs/promises";
    import { S3Store } from "./infra/store/s3Store.ts";
    const store = new S3Store(${JSON.stringify({ ...access, prefix })}, ${JSON.stringify({ cache: join(top, machine), leaseSeconds: shortLeaseSeconds })});
    ${body}
  `;
  const adopting = (file: string) => `
    await store.withIncoming(async (directory) => {
      await copyFile(${JSON.stringify(file)}, directory + "/file");
      console.log("ready");
      console.log(JSON.stringify(await store.adopt(directory + "/file")));
    });
  `;

  it("leave an upload, when one is killed, that the next one replaces", async () => {
    const file = join(top, "large");
    await writeFile(file, large);
    const slow = proxy.add(delay(about("PUT", "artifacts/"), 300));
    const child = await runUntilReady(program("dead", adopting(file)));
    while (proxy.count("s3", "UploadPart") < 1) await sleep(20);
    await sleep(100);
    child.kill("SIGKILL");
    await once(child, "exit");
    slow();
    expect(await unfinishedUploads()).toBe(1);
    const { sha256 } = await adopt(large);
    expect(await unfinishedUploads()).toBe(0);
    expect(await keys()).toEqual([`artifacts/${sha256}`]);
    expect(await store.examine(sha256)).toBe("sound");
  });

  it("send what they make at once a single time", async () => {
    const file = join(top, "large");
    await writeFile(file, large);
    const children = await Promise.all(
      ["one", "other"].map((machine) =>
        runUntilReady(program(machine, adopting(file))),
      ),
    );
    const codes = await Promise.all(
      children.map(async (child) => (await once(child, "exit"))[0]),
    );
    expect(codes).toEqual([0, 0]);
    expect(proxy.count("s3", "UploadPart")).toBe(2);
    expect((await keys()).filter((key) => key.startsWith("locks"))).toEqual([]);
  });

  it("fetch what both need at once a single time", async () => {
    const { sha256 } = await adopt(large);
    proxy.forget();
    const fetching = program(
      "shared",
      `console.log("ready"); await store.file(${JSON.stringify(sha256)});`,
    );
    const children = await Promise.all(
      [1, 2].map(() => runUntilReady(fetching)),
    );
    const codes = await Promise.all(
      children.map(async (child) => (await once(child, "exit"))[0]),
    );
    expect(codes).toEqual([0, 0]);
    expect(proxy.count("s3", "GetObject")).toBe(1);
  });

  it("leave half of a file, when one is killed, that nobody takes for the whole", async () => {
    const { sha256 } = await adopt(large);
    let waiting = () => {};
    const asked = new Promise<void>((done) => {
      waiting = done;
    });
    faults.push(
      proxy.add({
        matches: about("GET", "artifacts/"),
        async act(call, forward) {
          const answer = await forward(call);
          waiting();
          await sleep(500);
          return answer;
        },
      }),
    );
    const child = await runUntilReady(
      program(
        "shared",
        `console.log("ready"); await store.file(${JSON.stringify(sha256)});`,
      ),
    );
    await asked;
    child.kill("SIGKILL");
    await once(child, "exit");
    for (const mend of faults.splice(0)) mend();
    const cache = join(top, "shared");
    expect(await readdir(join(cache, "incoming"))).toHaveLength(1);
    // The next one would wait until the dead holder's lock counts as stale.
    await rm(join(cache, "locks"), { recursive: true });
    const path = await open("shared").file(sha256);
    expect((await readFile(path)).equals(large)).toBe(true);
    expect(await readdir(cache)).toEqual(["artifacts"]);
  });

  it("give up their lock, when they are killed, to whoever waits", async () => {
    const child = await runUntilReady(
      program(
        "dead",
        `await store.withLock("door", 1, async () => {
          console.log("ready");
          await new Promise((done) => setTimeout(done, 60_000));
        });`,
      ),
    );
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await keys()).toEqual(["locks/door"]);
    expect(await store.withLock("door", 10, async () => "in")).toBe("in");
    expect(await keys()).toEqual([]);
  });
});
