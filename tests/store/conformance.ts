/** What every store must do, whatever it is kept in. A driver's test calls this with a way to make one. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { StoreError } from "../../infra/errors.ts";
import type { Sha256, Store } from "../../infra/store/store.ts";

/** A new, empty store, and a way to meddle with it behind its back. */
export interface StoreUnderTest {
  readonly store: Store;
  /** The same store, as another process would open it. */
  readonly reopen: () => Store;
  /** Changes an artifact's bytes where they are kept. */
  readonly alter: (sha256: Sha256) => Promise<void>;
}

/** Registers the tests. */
export function describeStore(
  name: string,
  make: () => Promise<StoreUnderTest>,
): void {
  describe(`${name} conforms`, () => {
    let subject: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      subject = await make();
      store = subject.store;
    });

    const adopt = (text: string) =>
      store.withIncoming(async (directory) => {
        const path = join(directory, "file");
        await writeFile(path, text);
        return store.adopt(path);
      });

    describe("artifacts", () => {
      it("are found under the sha256 of their bytes", async () => {
        const artifact = await adopt("hello");
        expect(artifact).toEqual({ sha256: sha256Of("hello"), sizeBytes: 5 });
        const path = await subject.reopen().file(artifact.sha256);
        expect(await readFile(path, "utf8")).toBe("hello");
      });

      it("leave the place they were made in", async () => {
        await store.withIncoming(async (directory) => {
          const path = join(directory, "file");
          await writeFile(path, "moved");
          await store.adopt(path);
          expect(existsSync(path)).toBe(false);
        });
      });

      it("may be adopted twice", async () => {
        const first = await adopt("same");
        expect(await adopt("same")).toEqual(first);
        expect(await store.examine(first.sha256)).toBe("sound");
      });

      it("may be adopted by many at once", async () => {
        const all = await Promise.all(
          Array.from({ length: 8 }, () => adopt("many")),
        );
        expect(new Set(all.map(({ sha256 }) => sha256)).size).toBe(1);
        expect(await store.examine(sha256Of("many"))).toBe("sound");
      });

      it("are sound, missing or altered", async () => {
        const { sha256 } = await adopt("good");
        expect(await store.examine(sha256)).toBe("sound");
        await subject.alter(sha256);
        expect(await store.examine(sha256)).toBe("altered");
        await store.discard(sha256);
        expect(await store.examine(sha256)).toBe("missing");
      });

      it("are healed when the good bytes come in again", async () => {
        const { sha256 } = await adopt("good");
        await subject.alter(sha256);
        await adopt("good");
        expect(await store.examine(sha256)).toBe("sound");
      });

      it("that are missing are named, with the cure", async () => {
        const missing = sha256Of("never seen");
        await expect(store.file(missing)).rejects.toThrow(
          new RegExp(`${missing}.*pulumi up`, "s"),
        );
        await expect(store.file(missing)).rejects.toBeInstanceOf(StoreError);
      });

      it("may be discarded twice", async () => {
        const { sha256 } = await adopt("old");
        await store.discard(sha256);
        await store.discard(sha256);
      });

      it("have a sha256 for a name and nothing else", async () => {
        const name = "../../etc/passwd" as Sha256;
        await expect(store.file(name)).rejects.toBeInstanceOf(StoreError);
        await expect(store.examine(name)).rejects.toBeInstanceOf(StoreError);
        await expect(store.discard(name)).rejects.toBeInstanceOf(StoreError);
      });
    });

    describe("the incoming directory", () => {
      it("is gone afterwards", async () => {
        const directory = await store.withIncoming(async (path) => {
          await writeFile(join(path, "scrap"), "");
          return path;
        });
        expect(existsSync(directory)).toBe(false);
      });

      it("is gone after a failure, and the failure is passed on", async () => {
        let directory = "";
        const failure = new Error("no luck");
        const run = store.withIncoming(async (path) => {
          directory = path;
          throw failure;
        });
        await expect(run).rejects.toBe(failure);
        expect(existsSync(directory)).toBe(false);
      });

      it("is another one for each", async () => {
        await store.withIncoming((one) =>
          store.withIncoming(async (other) => expect(other).not.toBe(one)),
        );
      });
    });

    describe("documents", () => {
      it("hold what was written last", async () => {
        await store.write("a/b.json", "old");
        await store.write("a/b.json", "new");
        expect(await subject.reopen().read("a/b.json")).toBe("new");
      });

      it("that do not exist are undefined", async () => {
        expect(await store.read("a/b.json")).toBeUndefined();
      });

      it("are listed by prefix, sorted, at any depth", async () => {
        for (const name of ["b/2", "b/1/x.json", "a/1", "bb/1"]) {
          await store.write(name, name);
        }
        expect(await store.list("b")).toEqual(["b/1/x.json", "b/2"]);
        expect(await store.list("b/")).toEqual(["b/1/x.json", "b/2"]);
        expect(await store.list("")).toEqual([
          "a/1",
          "b/1/x.json",
          "b/2",
          "bb/1",
        ]);
      });

      it("are not mixed up with artifacts", async () => {
        await adopt("an artifact");
        expect(await store.list("")).toEqual([]);
      });

      it("of an empty store are none", async () => {
        expect(await store.list("builds")).toEqual([]);
      });

      it("are gone when removed, and may be removed twice", async () => {
        await store.write("a/b.json", "text");
        await store.remove("a/b.json");
        await store.remove("a/b.json");
        expect(await store.read("a/b.json")).toBeUndefined();
        expect(await store.list("")).toEqual([]);
      });

      it("are whole to a reader while they are rewritten", async () => {
        const texts = ["a", "b"].map((letter) => letter.repeat(100_000));
        await store.write("busy", texts[0] ?? "");
        const writing = Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            store.write("busy", texts[n % 2] ?? ""),
          ),
        );
        for (let n = 0; n < 20; n++) {
          expect(texts).toContain(await store.read("busy"));
        }
        await writing;
      });

      it("survive neighbours that come and go", async () => {
        await Promise.all(
          Array.from({ length: 30 }, async (_, n) => {
            await store.write(`room/${n}`, "x");
            await store.remove(`room/${n}`);
          }),
        );
        expect(await store.list("")).toEqual([]);
      });

      it.each([
        "../outside",
        "a/../../outside",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "",
        "a/",
        ".hidden",
        "a\0b",
        "a\\b",
        "a b",
        "a/\n",
        "artifacts/x",
        "incoming/x",
        "locks/x",
        "x".repeat(300),
      ])("cannot be named %j", async (name) => {
        await expect(store.write(name, "")).rejects.toBeInstanceOf(StoreError);
        await expect(store.read(name)).rejects.toBeInstanceOf(StoreError);
        await expect(store.remove(name)).rejects.toBeInstanceOf(StoreError);
      });
    });

    describe("locks", () => {
      it("let in one at a time", async () => {
        let inside = 0;
        let most = 0;
        const visit = async (room: Store) =>
          room.withLock("door", 20, async () => {
            most = Math.max(most, ++inside);
            await new Promise((done) => setTimeout(done, 10));
            inside--;
          });
        await Promise.all([
          visit(store),
          visit(subject.reopen()),
          visit(store),
        ]);
        expect(most).toBe(1);
      });

      it("of different names are independent", async () => {
        const both = store.withLock("one", 1, () =>
          store.withLock("two", 1, async () => "both"),
        );
        expect(await both).toBe("both");
      });

      it("are given back after a failure", async () => {
        const failure = new Error("no luck");
        const failing = store.withLock("door", 1, () =>
          Promise.reject(failure),
        );
        await expect(failing).rejects.toBe(failure);
        expect(await store.withLock("door", 1, async () => "in")).toBe("in");
      });

      it("that stay held are named, with how long was waited", async () => {
        await store.withLock("door", 1, async () => {
          const second = subject.reopen().withLock("door", 1, async () => {});
          await expect(second).rejects.toThrow(
            /"door" stayed held .* 1 second/,
          );
          await expect(second).rejects.toBeInstanceOf(StoreError);
        });
      });

      it("have safe names", async () => {
        const lock = store.withLock("../outside", 1, async () => {});
        await expect(lock).rejects.toBeInstanceOf(StoreError);
      });
    });
  });
}

/** sha256 of a text or of bytes, as the store names artifacts. */
export function sha256Of(text: string | Uint8Array): Sha256 {
  return createHash("sha256").update(text).digest("hex") as Sha256;
}
