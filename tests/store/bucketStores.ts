/**
 * What every store in a bucket must do, whichever service has the bucket: beside all that stores do, in bad luck, under locks
 * that are lost, and after processes that were killed. A service's test calls this with a way to start one.
 */

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
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
} from "vitest";
import { StoreError } from "../../infra/errors.ts";
import type { BucketStore } from "../../infra/store/bucketStore.ts";
import { openBucketStore } from "../../infra/store/openStore.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import type { ApiCall, ApiProxy, ProxyRule } from "../servers/apiProxy.ts";
import {
  corruptRequest,
  cutAfter,
  delay,
  firstCalls,
  refuse,
  serverError,
  throttle,
} from "../servers/awsFaults.ts";
import { describeStore, sha256Of } from "./conformance.ts";
import { runUntilReady } from "./killed.ts";

/** A bucket on this machine, and a way to meddle with it behind the store's back. */
export interface ServedBucket extends AsyncDisposable {
  /** Before the server. It knows what happens to objects in the words of S3: `PutObject`, `UploadPart`, `GetObject`, `HEAD`. */
  readonly proxy: ApiProxy;
  /** The address of a store there, through the proxy. */
  address(prefix: string): string;
  /** The same, past the proxy. */
  directAddress(prefix: string): string;
  /** The object that a call is about, or `undefined` when it is about none. */
  keyOf(call: ApiCall): string | undefined;
  /** The keys that begin so. */
  list(prefix: string): Promise<string[]>;
  sizeOf(key: string): Promise<number>;
  /** Puts an object there as anybody would. @param keepsMetadata of the one that is there */
  put(key: string, bytes: Uint8Array, keepsMetadata?: boolean): Promise<void>;
  /** How many uploads of an object were begun, and not brought to an end, as far as the service shows them. */
  unfinishedUploads(key: string): Promise<number>;
}

/** What is said of a place that is none. */
export interface WrongPlace {
  readonly what: string;
  readonly address: (served: ServedBucket, prefix: string) => string;
  readonly said: RegExp;
}

/** What is said when the service does not take the credentials. */
export interface Refusal {
  readonly code: string;
  readonly status: number;
  readonly said: RegExp;
}

export interface BucketServiceUnderTest {
  start(): Promise<ServedBucket>;
  /** Whether an upload that was not brought to an end can be seen. */
  readonly leavesUploads: boolean;
  readonly wrongPlaces: readonly WrongPlace[];
  readonly refusals: readonly Refusal[];
  /** Variables of the environment with secrets, which no message repeats, and those that the service's own ones do. */
  readonly secrets: readonly string[];
  readonly quoted: readonly string[];
}

/** Of holders that die: long enough for a busy machine, and waited for. */
const shortLeaseSeconds = 2;

/** Bytes that do not compress, and need two parts. */
const large = randomBytes(9 * 1024 * 1024);

/** What sends bytes of an object. */
const writes = ["PutObject", "UploadPart"];

/** Registers the tests. */
export function describeBucketStore(
  name: string,
  {
    start,
    leavesUploads,
    wrongPlaces,
    refusals,
    secrets,
    quoted,
  }: BucketServiceUnderTest,
): void {
  let served: ServedBucket;
  let proxy: ApiProxy;

  beforeAll(async () => {
    served = await start();
    ({ proxy } = served);
  });
  afterAll(async () => {
    await served?.[Symbol.asyncDispose]();
  });

  let top: string;
  let tests = 0;
  let prefix: string;
  let store: BucketStore;
  const faults: (() => void)[] = [];

  /** As another machine would open it: with a cache of its own. */
  const open = (
    machine: string,
    leaseSeconds = 30,
    address = served.address(prefix),
  ) => openBucketStore(address, { cache: join(top, machine), leaseSeconds });

  beforeEach(async () => {
    top = await mkdtemp(join(tmpdir(), "bucket-store-"));
    prefix = `test/${++tests}`;
    store = open("here");
    proxy.forget();
  });
  afterEach(async () => {
    for (const mend of faults.splice(0)) mend();
    await rm(top, { recursive: true, force: true });
  });

  const breakBy = (rule: ProxyRule) => faults.push(proxy.add(rule));

  const count = (action: string) =>
    proxy.calls.filter((call) => call.action === action).length;

  /** Calls of those kinds for keys below the store's prefix that begin so. */
  const about =
    (actions: readonly string[], begin: string) =>
    (call: ApiCall): boolean =>
      actions.includes(call.action) &&
      (served.keyOf(call) ?? "").startsWith(`${prefix}/${begin}`);

  const artifactKey = (sha256: Sha256) => `${prefix}/artifacts/${sha256}`;

  async function adopt(bytes: string | Uint8Array, into = store) {
    return into.withIncoming(async (directory) => {
      const path = join(directory, "file");
      await writeFile(path, bytes);
      return into.adopt(path);
    });
  }

  /** The store's objects, by what follows the prefix. */
  async function keys(): Promise<string[]> {
    const all = await served.list(`${prefix}/`);
    return all.map((key) => key.slice(prefix.length + 1));
  }

  /** Of {@link large}. */
  const unfinishedUploads = () =>
    served.unfinishedUploads(artifactKey(sha256Of(large)));

  async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }

  describeStore(name, async () => ({
    store,
    reopen: () => open("elsewhere"),
    alter: (sha256) =>
      served.put(artifactKey(sha256), Buffer.from("bad!"), true),
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
      const sent = await served.sizeOf(artifactKey(sha256));
      expect(sent).toBeLessThan(64 * 1024);
    });

    it("go in parts when they are large, and are examined without reading them", async () => {
      const { sha256 } = await adopt(large);
      expect(count("UploadPart")).toBe(2);
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
      expect(proxy.calls.map(({ action }) => action)).toEqual(["HEAD"]);
      const third = open("third");
      await third.file(sha256);
      await third.file(sha256);
      expect(count("GetObject")).toBe(1);
    });

    it("that came there in another way are read as a whole to be examined", async () => {
      const right = sha256Of("right");
      const put = (bytes: Uint8Array) => served.put(artifactKey(right), bytes);
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
      [
        "too few bytes",
        zstdCompressSync(randomBytes(99999)).subarray(0, 50_000),
      ],
    ])("with %s are not handed out", async (_, bytes) => {
      const { sha256 } = await adopt("right");
      await served.put(artifactKey(sha256), bytes);
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
      openBucketStore(served.address(prefix), {
        cache: join(top, "here"),
        cacheLimits: { days, bytes },
      });
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
      breakBy(firstCalls(1, corruptRequest(about(writes, "artifacts/"))));
      const failure = await failureOf(adopt(large));
      expect(failure.message).toMatch(/not those that were sent/);
      expect(await keys()).toEqual([]);
      // Other parts of it may have come there at once; where they stay, they go with the next upload.
      if (!leavesUploads) expect(await unfinishedUploads()).toBe(0);
      await adopt(large);
      expect(await unfinishedUploads()).toBe(0);
    });

    it("of a server that has other bytes than were sent is noticed", async () => {
      breakBy(
        firstCalls(1, {
          matches: about(["PutObject"], "artifacts/"),
          async act(call, forward) {
            const answer = await forward(call);
            await served.put(served.keyOf(call) ?? "", Buffer.from("junk"));
            return answer;
          },
        }),
      );
      const failure = await failureOf(adopt("good"));
      expect(failure.message).toMatch(
        /is not what was sent: there are 4 bytes/,
      );
      expect(await keys()).toEqual([]);
    });

    it("of connections that break off is made up for from where they broke", async () => {
      const { sha256 } = await adopt(large);
      proxy.forget();
      let cuts = 0;
      breakBy({
        matches: (call) =>
          about(["GetObject"], "artifacts/")(call) && cuts++ < 3,
        async act(call, forward) {
          const answer = await forward(call);
          return answer === "cut"
            ? answer
            : { ...answer, cutAfterBytes: 3_000_000 };
        },
      });
      const copy = await readFile(await open("elsewhere").file(sha256));
      expect(copy.equals(large)).toBe(true);
      expect(count("GetObject")).toBe(4);
    });

    it("of throttling and errors that pass goes unnoticed", async () => {
      breakBy(firstCalls(1, throttle(about(writes, "artifacts/"))));
      breakBy(firstCalls(1, serverError(about(["HEAD"], "artifacts/"))));
      const { sha256 } = await adopt("patience");
      expect(await store.examine(sha256)).toBe("sound");
    });

    it("of an answer that is lost is no lost update, and no lost lock", async () => {
      breakBy(firstCalls(1, cutAfter(about(writes, "documents/"))));
      breakBy(firstCalls(1, cutAfter(about(writes, "locks/"))));
      await store.withLock("door", 1, async () => {
        expect(await store.read("a")).toBeUndefined();
        await store.write("a", "text");
      });
      expect(await store.read("a")).toBe("text");
      expect(count("PutObject")).toBe(4);
      expect(await keys()).toEqual(["documents/a"]);
    });

    it.each(wrongPlaces)(
      "is told, with the cure: $what",
      async ({ address, said }) => {
        const wrong = open("here", 30, address(served, prefix));
        const tries = [
          () => wrong.list(""),
          () => wrong.examine(sha256Of("x")),
          () => wrong.write("a", "text"),
          () => wrong.withLock("door", 1, async () => {}),
        ];
        const failures = await Promise.all(
          tries.map((each) => failureOf(each())),
        );
        for (const { message } of failures) expect(message).toMatch(said);
      },
    );

    it.each(refusals)(
      "of credentials is told without them: $code",
      async ({ code, status, said }) => {
        const valuesOf = (names: readonly string[]) =>
          names.map((name) => process.env[name] ?? expect.fail(name));
        const message = `${valuesOf(quoted).join(" and ")} are not good.`;
        breakBy(refuse(about(writes, "documents/"), code, message, status));
        const failure = await failureOf(store.write("a", "text"));
        expect(failure.message).toMatch(said);
        for (const value of valuesOf(secrets)) {
          expect(inspect(failure, { depth: 9 })).not.toContain(value);
        }
      },
    );
  });

  describe("locks in a bucket", () => {
    it("stay with a holder that needs them longer than a lease", async () => {
      let inside = true;
      const held = open("here", shortLeaseSeconds).withLock(
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
      const direct = open("elsewhere", 30, served.directAddress(prefix));
      const slow = open("here", shortLeaseSeconds);
      const failure = await failureOf(
        slow.withLock("door", 1, async () => {
          await slow.write("a", "before");
          breakBy({ matches: about(writes, "locks/"), act: () => "cut" });
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
    import { openBucketStore } from "./infra/store/openStore.ts";
    const store = openBucketStore(${JSON.stringify(served.address(prefix))}, ${JSON.stringify({ cache: join(top, machine), leaseSeconds: shortLeaseSeconds })});
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
      const slow = proxy.add(delay(about(writes, "artifacts/"), 300));
      const child = await runUntilReady(program("dead", adopting(file)));
      while (count("UploadPart") < 1) await sleep(20);
      await sleep(100);
      child.kill("SIGKILL");
      await once(child, "exit");
      slow();
      // What was on its way arrives.
      const expected = leavesUploads ? 1 : 0;
      await expect.poll(unfinishedUploads, { timeout: 5000 }).toBe(expected);
      expect(await keys()).not.toContain(`artifacts/${sha256Of(large)}`);
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
      expect(count("UploadPart")).toBe(2);
      expect((await keys()).filter((key) => key.startsWith("locks"))).toEqual(
        [],
      );
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
      expect(count("GetObject")).toBe(1);
    });

    it("leave half of a file, when one is killed, that nobody takes for the whole", async () => {
      const { sha256 } = await adopt(large);
      let waiting = () => {};
      const asked = new Promise<void>((done) => {
        waiting = done;
      });
      faults.push(
        proxy.add({
          matches: about(["GetObject"], "artifacts/"),
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
}
