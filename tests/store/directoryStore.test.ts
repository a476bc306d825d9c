import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoreError } from "../../infra/errors.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { ownIdentity } from "../../infra/store/processIdentity.ts";
import { describeStore, sha256Of } from "./conformance.ts";
import { runUntilReady, runUntilReadyAndKill } from "./killed.ts";

let top: string;
let root: string;
let store: DirectoryStore;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "directory-store-"));
  root = join(top, "store");
  store = new DirectoryStore(root);
});
afterEach(() => rm(top, { recursive: true, force: true }));

describeStore("a directory store", async () => ({
  store,
  reopen: () => new DirectoryStore(root),
  alter: async (sha256) => {
    const path = join(root, "artifacts", sha256);
    await chmod(path, 0o644);
    await writeFile(path, "bad!");
  },
}));

/** The beginning of a program that uses this store. */
const opening = () => `
  import { DirectoryStore } from "./infra/store/directoryStore.ts";
  import { writeFile } from "node:fs/promises";
  const store = new DirectoryStore(${JSON.stringify(root)});
  const minute = () => new Promise((done) => setTimeout(done, 60_000));
`;

async function adopt(text: string) {
  return store.withIncoming(async (directory) => {
    const path = join(directory, "file");
    await writeFile(path, text);
    return store.adopt(path);
  });
}

describe("artifacts in a directory", () => {
  it("are read-only", async () => {
    const { sha256 } = await adopt("text");
    const { mode } = await stat(await store.file(sha256));
    expect(mode & 0o777).toBe(0o444);
  });

  it("stay sparse", async () => {
    const { sha256, sizeBytes } = await store.withIncoming(
      async (directory) => {
        const path = join(directory, "disk.raw");
        await writeFile(path, "boot");
        await truncate(path, 64 * 1024 * 1024);
        return store.adopt(path);
      },
    );
    const { blocks } = await stat(await store.file(sha256));
    expect(sizeBytes).toBe(64 * 1024 * 1024);
    expect(blocks * 512).toBeLessThan(1024 * 1024);
  });

  it("come from the store's own file system", async () => {
    const path = join("/dev/shm", `directory-store-${process.pid}`);
    await writeFile(path, "far away");
    await expect(store.adopt(path)).rejects.toThrow(/withIncoming/);
    await rm(path);
  });

  it("are regular files", async () => {
    const link = join(top, "link");
    await symlink("/etc/hostname", link);
    await expect(store.adopt(link)).rejects.toThrow(/not a regular file/);
  });
});

describe("a killed process", () => {
  it("leaves an incoming directory that the next one removes", async () => {
    await runUntilReadyAndKill(`${opening()}
      await store.withIncoming(async (directory) => {
        await writeFile(directory + "/half", "half");
        console.log("ready");
        await minute();
      });
    `);
    expect(await readdir(join(root, "incoming"))).toHaveLength(1);
    await store.withIncoming(async () => {
      expect(await readdir(join(root, "incoming"))).toHaveLength(1);
    });
    expect(await readdir(top)).toEqual([]);
  });

  it("in the middle of adopting leaves either nothing or the whole", async () => {
    for (const delay of [0, 2, 4, 8, 16]) {
      const child = await runUntilReady(`${opening()}
        await store.withIncoming(async (directory) => {
          await writeFile(directory + "/file", Buffer.alloc(8e6, 1));
          console.log("ready");
          await store.adopt(directory + "/file");
          await minute();
        });
      `);
      await new Promise((done) => setTimeout(done, delay));
      child.kill("SIGKILL");
      await new Promise((done) => child.once("exit", done));
      for (const name of await readdir(join(root, "artifacts")).catch(
        () => [],
      )) {
        expect(await store.examine(name as never)).toBe("sound");
        await store.discard(name as never);
      }
      await store.withIncoming(async () => {});
      expect(await readdir(top)).toEqual([]);
    }
  });

  it("gives up its lock to whoever waits", async () => {
    await runUntilReadyAndKill(`${opening()}
      await store.withLock("door", 1, async () => {
        console.log("ready");
        await minute();
      });
    `);
    await expect(store.withLock("door", 0.5, async () => {})).rejects.toThrow(
      StoreError,
    );
    expect(await store.withLock("door", 20, async () => "in")).toBe("in");
    expect(await readdir(top)).toEqual([]);
  });
});

describe("an incoming directory", () => {
  const abandon = async (owner: string, ageHours: number) => {
    const path = join(root, "incoming", `${owner}-abc`);
    await mkdir(path, { recursive: true });
    const then = new Date(Date.now() - ageHours * 3600_000);
    await utimes(path, then, then);
    await store.withIncoming(async () => {});
    return existsSync(path);
  };
  const [boot, namespace, pid, started] = ownIdentity().split("-");

  it("of a running process stays", async () => {
    expect(await abandon(ownIdentity(), 1000)).toBe(true);
  });

  it("whose pid was given to another process goes", async () => {
    const earlier = Number(started) - 1;
    expect(await abandon(`${boot}-${namespace}-${pid}-${earlier}`, 0)).toBe(
      false,
    );
  });

  it("of another machine stays for a day", async () => {
    expect(await abandon("01234567-1-1-1", 23)).toBe(true);
    expect(await abandon("01234567-1-1-1", 25)).toBe(false);
  });

  it("that is none of the store's stays", async () => {
    await mkdir(join(root, "incoming", "holiday-photos"), { recursive: true });
    await store.withIncoming(async () => {});
    expect(existsSync(join(root, "incoming", "holiday-photos"))).toBe(true);
  });
});

describe("an emptied store", () => {
  it("leaves no directory behind", async () => {
    const { sha256 } = await adopt("text");
    await store.write("a/b/c.json", "{}");
    await store.withLock("door", 1, async () => {
      await store.remove("a/b/c.json");
      await store.discard(sha256);
    });
    expect(await readdir(top)).toEqual([]);
  });

  it("keeps what others put there", async () => {
    await store.write("a/b/c.json", "{}");
    await writeFile(join(root, "a", "README"), "mine");
    await mkdir(join(root, "lost+found"));
    await store.remove("a/b/c.json");
    expect(await readdir(root)).toEqual(["a", "lost+found"]);
    expect(await readdir(join(root, "a"))).toEqual(["README"]);
  });
});

describe("a store that cannot be read", () => {
  it("is never taken for an empty one", async () => {
    await writeFile(root, "a file in the place of the store");
    await expect(store.list("builds")).rejects.toThrow(StoreError);
    await expect(store.list("")).rejects.toThrow(StoreError);
    await expect(store.read("builds/x")).rejects.toThrow(StoreError);
    await expect(store.examine(sha256Of("x"))).rejects.toThrow(StoreError);
    await expect(store.write("builds/x", "")).rejects.toThrow(StoreError);
    await expect(store.withIncoming(async () => {})).rejects.toThrow(
      StoreError,
    );
    await expect(store.withLock("x", 1, async () => {})).rejects.toThrow(
      StoreError,
    );
  });

  it("lists documents behind a symbolic link, too", async () => {
    await store.write("builds/x", "");
    await rm(join(root, "builds"), { recursive: true });
    await mkdir(join(top, "larger-disk"));
    await writeFile(join(top, "larger-disk", "y"), "");
    await mkdir(root, { recursive: true });
    await symlink(join(top, "larger-disk"), join(root, "builds"));
    expect(await store.list("builds")).toEqual(["builds/y"]);
  });
});

describe("a full file system", () => {
  // A file system of 1 MiB needs a mount, and a mount needs a namespace of its own.
  const namespace = ["--user", "--map-root-user", "--mount"];
  const mayMount = () => {
    try {
      execFileSync("unshare", [
        ...namespace,
        "mount",
        "-t",
        "tmpfs",
        "x",
        "/mnt",
      ]);
      return true;
    } catch {
      return false;
    }
  };

  it.runIf(mayMount())(
    "is reported as such, and the old text stays",
    async () => {
      await mkdir(root);
      const program = `${opening()}
      await store.write("small", "old");
      const error = await store.write("small", "x".repeat(4e6)).catch((e) => e);
      console.log(JSON.stringify([error.name, error.message, await store.read("small")]));
      const { readdirSync } = await import("node:fs");
      console.log(readdirSync(${JSON.stringify(root)}).join());
    `;
      const output = execFileSync(
        "unshare",
        [
          ...namespace,
          "sh",
          "-c",
          `mount -t tmpfs -o size=1m none ${root} && exec "$@"`,
          "sh",
          process.execPath,
          "--no-warnings",
          "--input-type=module-typescript",
          "--eval",
          program,
        ],
        { encoding: "utf8", timeout: 20_000 },
      );
      const [report, left] = output.trim().split("\n");
      const [name, message, text] = JSON.parse(report ?? "") as string[];
      expect(name).toBe("StoreError");
      expect(message).toMatch(/is full.*Nothing half-written.*free some space/);
      expect(text).toBe("old");
      expect(left).toBe("small");
    },
  );
});
