/** What makes up a snapshot, and that nothing else does. */

import { randomFillSync } from "node:crypto";
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ImageKey } from "../../../infra/definitions/definition.ts";
import { assembleDisk } from "../../../infra/image/build/assemble.ts";
import {
  diskIdentity,
  partitionsOf,
  sectorBytes,
} from "../../../infra/image/build/partitions.ts";
import {
  candidateBlocks,
  planBlocks,
} from "../../../infra/platforms/ec2/blockPlan.ts";
import {
  blockBytes,
  blockCount,
} from "../../../infra/platforms/ec2/snapshotRequest.ts";
import { randomDisk, range } from "./disks.ts";

const mebibyte = 1024 ** 2;
/** With a root file system of 256 MiB. */
const sizeGiB = 0.375;
const sizeBytes = sizeGiB * 1024 ** 3;
const identity = diskIdentity("a".repeat(64) as ImageKey);
const { esp, root } = partitionsOf("amd64", sizeGiB, identity);

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "block-plan-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test("blocks are those that extents touch", () => {
  const disk = {
    sizeBytes: 4.5 * blockBytes,
    kept: [{ start: blockBytes - 1, bytes: 2 }],
    relied: [{ start: 3 * blockBytes, bytes: 9 * blockBytes }],
  };
  expect(candidateBlocks(disk)).toEqual([
    { index: 0, isRelied: false },
    { index: 1, isRelied: false },
    { index: 3, isRelied: true },
    { index: 4, isRelied: true },
  ]);
});

describe("a disk without file systems", () => {
  test("has what was written to it, zeros or not", async () => {
    const path = join(directory, "plain.raw");
    await randomDisk(path, 10 * mebibyte + 5, [0, 3, 20]);
    await using file = await open(path, "r+");
    await file.write(Buffer.alloc(blockBytes), 0, blockBytes, 7 * blockBytes);
    await file.sync();
    const size = (await stat(path)).size;
    expect(await planBlocks(path, size, "send")).toEqual([0, 3, 7, 20]);
    expect(await planBlocks(path, size, "skip")).toEqual([0, 3, 20]);
  });

  test("always has a first block", async () => {
    const path = join(directory, "empty.raw");
    await writeFile(path, "");
    await truncate(path, mebibyte);
    expect(await planBlocks(path, mebibyte, "skip")).toEqual([0]);
  });
});

describe("a disk as images have it", () => {
  let disk: string;
  let tree: string;
  beforeAll(async () => {
    disk = join(directory, "disk.raw");
    tree = join(directory, "tree");
    await makeTree(tree);
    await assembleDisk(disk, {
      architecture: "amd64",
      target: tree,
      scratch: directory,
      identity,
      sizeGiB,
      epochSeconds: 1_700_000_000,
    });
  });

  test("passes every check when what was not sent is garbage", async () => {
    const plan = await planBlocks(disk, sizeBytes, "send");
    // 24 MiB of files, 16 MiB of inode tables, 8 MiB of journal, 2 MiB of FATs, and the ends of all those.
    expect(plan.length).toBeLessThan(120);
    const received = await withGarbage(disk, plan);
    expect(await faultsOf(received)).toEqual([]);
    expect(await contentOf(received)).toEqual(await contentOf(disk));
  });

  test("is damaged by garbage when zeros were left out", async () => {
    const plan = await planBlocks(disk, sizeBytes, "skip");
    const received = await withGarbage(disk, plan);
    expect((await faultsOf(received)).join()).toContain("FATs differ");
  });

  test("has the same blocks wherever the file was copied", async () => {
    const plan = await planBlocks(disk, sizeBytes, "send");
    for (const sparse of ["always", "never"]) {
      const copy = join(directory, `${sparse}.raw`);
      await execa("cp", [`--sparse=${sparse}`, disk, copy]);
      expect(await planBlocks(copy, sizeBytes, "send")).toEqual(plan);
      await rm(copy);
    }
  });
});

/** Files of many sizes, one of them with holes, and what the boot loaders need. */
async function makeTree(tree: string): Promise<void> {
  for (const name of [
    "boot/efi/EFI/BOOT",
    "boot/grub/i386-pc",
    "usr/lib",
    "etc",
  ]) {
    await mkdir(join(tree, name), { recursive: true });
  }
  const random = (length: number) => randomFillSync(Buffer.alloc(length));
  const files: Readonly<Record<string, Buffer>> = {
    "boot/efi/EFI/BOOT/BOOTX64.EFI": random(900_000),
    "boot/grub/i386-pc/boot.img": random(512),
    "boot/grub/i386-pc/core.img": random(30_000),
    "usr/lib/large": random(20 * mebibyte),
    "usr/lib/zeros": Buffer.alloc(3 * mebibyte),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(tree, name), content);
  }
  for (const index of range(0, 300)) {
    await writeFile(join(tree, `etc/file-${index}`), random(index * 37));
  }
  await symlink("../usr/lib/large", join(tree, "etc/link"));
  const sparse = join(tree, "usr/lib/sparse");
  await writeFile(sparse, random(5000));
  await truncate(sparse, 30 * mebibyte);
}

/** The disk as an encrypted volume would have it that is made from a snapshot of these blocks. */
async function withGarbage(
  disk: string,
  plan: readonly number[],
): Promise<string> {
  const received = join(directory, "received.raw");
  await copyFile(disk, received);
  const sent = new Set(plan);
  await using file = await open(received, "r+");
  const garbage = Buffer.alloc(blockBytes);
  for (const index of range(0, blockCount(sizeBytes))) {
    if (sent.has(index)) continue;
    randomFillSync(garbage);
    await file.write(garbage, 0, blockBytes, index * blockBytes);
  }
  return received;
}

/** What the programs that check partitions and file systems complain of. */
async function faultsOf(disk: string): Promise<readonly string[]> {
  const fat = join(directory, "esp.img");
  await execa("dd", [
    ...[`if=${disk}`, `of=${fat}`, "bs=1M", "status=none"],
    ...["iflag=skip_bytes,count_bytes"],
    `skip=${(esp?.startSector ?? 0) * sectorBytes}`,
    `count=${(esp?.sectors ?? 0) * sectorBytes}`,
  ]);
  const checks = [
    ["sfdisk", ["--verify", disk]],
    ["fsck.vfat", ["-n", fat]],
    ["e2fsck", ["-fn", rootOf(disk)]],
  ] as const;
  const faults = [];
  for (const [program, args] of checks) {
    const { exitCode, stdout } = await execa(program, args, { reject: false });
    if (exitCode !== 0) faults.push(`${program}: ${stdout}`);
  }
  return faults;
}

/** Digest of every file of the root file system. */
async function contentOf(
  disk: string,
): Promise<Readonly<Record<string, string>>> {
  const files = join(directory, "files");
  await mkdir(files);
  await execa("debugfs", ["-R", `rdump / ${files}`, rootOf(disk)]);
  const { stdout } = await execa(
    "find",
    [
      ".",
      "-type",
      "f",
      "-exec",
      "sha256sum",
      "{}",
      "+",
      "-o",
      "-printf",
      "%y%l  %p\n",
    ],
    { cwd: files },
  );
  await rm(files, { recursive: true });
  expect(stdout.split("\n").length).toBeGreaterThan(300);
  const lines = stdout.split("\n").map((line) => line.split("  ").toReversed());
  return Object.fromEntries(lines);
}

function rootOf(disk: string): string {
  return `${disk}?offset=${root.startSector * sectorBytes}`;
}
