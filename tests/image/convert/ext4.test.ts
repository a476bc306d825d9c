/** What is read of a file system: everything that mke2fs and debugfs have put there, and nothing else. */

import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { systemPath } from "../../../infra/image/build/preconditions.ts";
import { Ext4 } from "../../../infra/image/convert/ext4.ts";
import type { TreeEntry } from "../../../infra/image/convert/fileTree.ts";
import {
  digestsOfArchive,
  digestsOfRoot,
  rootTar,
} from "../../../infra/image/convert/rootTree.ts";
import {
  accessList,
  capability,
  changeFileSystem,
  fileSeconds,
  largeAttribute,
  makeDisk,
  marks,
  mke2fsArguments,
  mke2fsEnvironment,
  noise,
  rootOffset,
  withDirectory,
} from "./disks.ts";

/** An entry with its content instead of a way to read it. */
type ReadEntry = TreeEntry & { readonly content?: Buffer };

async function entriesOf(path: string): Promise<Map<string, ReadEntry>> {
  await using disk = await open(path, "r");
  const entries = new Map<string, ReadEntry>();
  for await (const entry of (await Ext4.open(disk, rootOffset)).entries()) {
    if (entry.kind !== "file") entries.set(entry.path, entry);
    else {
      const chunks = [];
      for await (const chunk of entry.read()) chunks.push(chunk);
      const content = Buffer.concat(chunks);
      entries.set(entry.path, { ...entry, read: noRead, content });
    }
  }
  return entries;
}

/** In the place of each reader, so that entries can be compared. */
async function* noRead(): AsyncGenerator<Buffer> {}

describe("a file system", () => {
  let entries: Map<string, ReadEntry>;
  beforeAll(async () => {
    entries = await withDirectory(async (directory) =>
      entriesOf((await makeDisk(directory)).path),
    );
  });
  const entry = (path: string) => {
    const found = entries.get(path);
    expect(found, path).toBeDefined();
    return found as ReadEntry;
  };

  it("has every name once, parents first, in the order of bytes, without lost+found", () => {
    const paths = [...entries.keys()];
    expect(paths[0]).toBe("");
    expect(paths).toContain("etc/new\nline \\ \u00c3\u00a9\t\x7f");
    expect(paths).not.toContain("lost+found");
    expect(paths.filter((path) => path.startsWith("many/"))).toHaveLength(300);
    const siblings = paths.filter((path) => /^[^/]+$/.test(path));
    expect(siblings).toEqual([
      "bin",
      "d".repeat(90),
      "empty",
      "etc",
      "many",
      "var",
    ]);
    for (const path of paths.slice(1)) {
      const parent = path.includes("/")
        ? path.slice(0, path.lastIndexOf("/"))
        : "";
      expect(paths.indexOf(parent)).toBeLessThan(paths.indexOf(path));
    }
  });

  it("has owners beyond 16 bits, and the setuid, setgid and sticky bits", () => {
    expect(entry("bin/su")).toMatchObject({
      kind: "file",
      mode: 0o4755,
      uid: 1000,
      gid: 42,
    });
    expect(entry("bin/third-name")).toMatchObject({
      uid: 100_000,
      gid: 70_000,
    });
    expect(entry("var/log").mode).toBe(0o2775);
    expect(entry("empty").mode).toBe(0o1777);
  });

  it("has the dates of the files", () => {
    const modified = { seconds: fileSeconds, nanoseconds: 0 };
    expect(entry("etc/new\nline \\ \u00c3\u00a9\t\x7f").modified).toEqual(
      modified,
    );
    expect(entry("empty").modified).toEqual(modified);
  });

  it("has hard links as links to the first name", () => {
    const target = "bin/third-name";
    expect(entry(target).content?.toString()).toBe("localhost\n");
    expect(entry("etc/hostname")).toMatchObject({ kind: "hard link", target });
    expect(entry("etc/hostname.other")).toMatchObject({
      kind: "hard link",
      target,
    });
  });

  it("has short and long symbolic links, with their owners", () => {
    expect(entry("bin/short")).toMatchObject({
      kind: "symbolic link",
      target: "../etc/hostname",
      uid: 7,
      gid: 8,
    });
    expect(entry("bin/long")).toMatchObject({ target: "x".repeat(300) });
  });

  it("has files of many pieces, with holes between them and at the end", () => {
    const { content } = entry("var/log/fragments");
    const expected = Buffer.alloc(41 * 64 * 1024 + 5);
    for (let index = 0; index < 40; index++) {
      expected.write(`piece ${index}\n`, index * 64 * 1024);
    }
    expect(content?.equals(expected)).toBe(true);
  });

  it("has large files", () => {
    expect(entry("var/log/noise").content?.equals(noise(1_500_000))).toBe(true);
  });

  it("has extended attributes, in inodes and in blocks of their own", () => {
    expect([...entry("bin/third-name").attributes]).toEqual([
      ["user.origin", Buffer.from("here")],
    ]);
    expect([...entry("bin/su").attributes]).toEqual([
      ["security.capability", capability],
    ]);
    expect([...entry("var/log/noise").attributes]).toEqual([
      ["user.large", largeAttribute],
    ]);
  });

  it("has access lists in the form in which programs are given them", () => {
    expect([...entry("var/log").attributes]).toEqual([
      ["system.posix_acl_default", accessList],
    ]);
  });
});

describe("what is no file", () => {
  it("is read when a tar can have it", async () => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory, [
        "mknod pipe p",
        "mknod console c 5 1",
        "mknod disk b 259 60000",
      ]);
      const entries = await entriesOf(path);
      expect(entries.get("pipe")?.kind).toBe("fifo");
      expect(entries.get("console")).toMatchObject({
        kind: "character device",
        major: 5,
        minor: 1,
      });
      expect(entries.get("disk")).toMatchObject({
        kind: "block device",
        major: 259,
        minor: 60_000,
      });
      await expectTarAgrees(directory, path);
    });
  });

  it("is named when a tar cannot have it: a socket", async () => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory, [
        "mknod pipe p",
        "sif /pipe mode 0140644",
      ]);
      await expect(entriesOf(path)).rejects.toThrow(/^\/pipe is a socket/);
    });
  });
});

describe("a date", () => {
  it.each<[string, number, number, string[]]>([
    [
      "with parts of a second",
      fileSeconds,
      500_000_000,
      ["sif /empty mtime_extra 2000000000"],
    ],
    ["before 1970", -5, 0, ["sif /empty mtime @-5"]],
    ["after 2038", fileSeconds + 2 ** 32, 0, ["sif /empty mtime_extra 1"]],
  ])("%s is kept", async (_what, seconds, nanoseconds, commands) => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory, commands);
      const entries = await entriesOf(path);
      expect(entries.get("empty")?.modified).toEqual({ seconds, nanoseconds });
      await expectTarAgrees(directory, path);
    });
  });
});

/** Fails unless GNU tar lists what was read. */
async function expectTarAgrees(directory: string, path: string) {
  const tar = join(directory, "root.tar.zst");
  await execa("zstd", ["-q", "-o", tar], { stdin: rootTar(path) });
  expect(await digestsOfArchive(tar)).toEqual(await digestsOfRoot(path));
  await rm(tar);
}

describe("a file system that cannot be read", () => {
  it("is one with a feature that is not understood", async () => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory, ["feature inline_data"]);
      await expect(entriesOf(path)).rejects.toThrow(
        /has features that cannot be read here: 0x8000\.$/,
      );
    });
  });

  it("is none at all", async () => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory, []);
      await using disk = await open(path, "r");
      await expect(Ext4.open(disk, 0)).rejects.toThrow(/no ext4 at byte 0/);
    });
  });

  it("is one that was cut short", async () => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory);
      await using disk = await open(path, "r+");
      await disk.truncate(rootOffset + 2 * 1024 * 1024);
      await expect(entriesOf(path)).rejects.toThrow(/^The disk ends at byte /);
    });
  });
});

/** New user and mount namespaces with all ids, in which root may give files away (as builds have them). */
const namespace = ["--user", "--map-root-user", "--map-auto", "--mount"];

describe("the tar of a root file system", () => {
  it("gives the same file system when GNU tar unpacks it and mke2fs takes it up again", async () => {
    await withDirectory(async (directory) => {
      // A user namespace has the ids up to 65535.
      const possible = marks.filter((mark) => !/[ug]id \d{5,}$/.test(mark));
      const { path } = await makeDisk(directory, possible);
      const before = await entriesOf(path);
      await execa("cp", [path, join(directory, "again.raw")]);
      const tree = join(directory, "unpacked");
      const again = join(directory, "again.raw");
      const script =
        'set -e; mkdir "$1"; tar --extract --directory="$1" --numeric-owner --preserve-permissions --same-owner --xattrs "--xattrs-include=*"; shift; "$@"; rm -rf "$0"';
      await execa(
        "unshare",
        [
          ...[...namespace, "sh", "-c", script, tree, tree],
          ...["mke2fs", ...mke2fsArguments(tree), again, "5632"],
        ],
        { stdin: rootTar(path), env: mke2fsEnvironment },
      );
      const after = await entriesOf(again);
      expect([...after.keys()]).toEqual([...before.keys()]);
      for (const [name, entry] of before) {
        expect(after.get(name), name).toEqual(entry);
      }
      const env = { PATH: systemPath };
      const args = ["-fn", `${again}?offset=${rootOffset}`];
      expect((await execa("e2fsck", args, { env })).exitCode).toBe(0);
    });
  });

  it("does not depend on where on the disk the files lie", async () => {
    await withDirectory(async (directory) => {
      const { path } = await makeDisk(directory);
      const before = await digestsOfRoot(path);
      await changeFileSystem(directory, path, [
        "write large /a-file",
        "rm /a-file",
      ]);
      expect(await digestsOfRoot(path)).toEqual(before);
    });
  });
});
