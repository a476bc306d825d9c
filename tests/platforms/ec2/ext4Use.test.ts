/** What ext4 file systems of many kinds have in use, judged by e2fsck after all else became garbage. */

import { randomFillSync } from "node:crypto";
import {
  mkdir,
  mkdtemp,
  open,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ext4UsedExtents } from "../../../infra/platforms/ec2/ext4Use.ts";

const mebibyte = 1024 ** 2;
const sizeBytes = 80 * mebibyte;
/** The file system does not begin where the disk does. */
const start = 3 * 4096;

let directory: string;
let tree: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ext4-use-"));
  tree = join(directory, "tree");
  await mkdir(tree);
  for (let index = 0; index < 60; index++) {
    const content = randomFillSync(Buffer.alloc(index * 4001));
    await writeFile(join(tree, `file-${index}`), content);
  }
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test.each([
  ["as images have it", ["-b", "4096", "-I", "256"]],
  ["with blocks of 1 KiB, and many groups", ["-b", "1024"]],
  ["with short descriptors", ["-b", "1024", "-O", "^64bit,^metadata_csum"]],
  ["with tables in each group", ["-b", "1024", "-O", "^flex_bg"]],
  [
    "with a copy of the superblock in each group",
    ["-b", "1024", "-O", "^sparse_super,^resize_inode"],
  ],
  ["with groups that were never begun", ["-b", "1024", "-g", "2048"]],
])(
  "a file system %s outlives garbage everywhere else",
  async (_name, options) => {
    const disk = await makeDisk(options);
    await using file = await open(disk, "r+");
    const used = await ext4UsedExtents(file, start);
    const isUsed = new Uint8Array(sizeBytes / 512);
    for (const extent of used ?? []) {
      isUsed.fill(1, extent.start / 512, (extent.start + extent.bytes) / 512);
    }
    // It is no answer to call everything used.
    expect(isUsed.filter((each) => each === 1).length).toBeLessThan(
      0.6 * isUsed.length,
    );
    const garbage = randomFillSync(Buffer.alloc(sizeBytes));
    for (let from = 0, to = 0; from < isUsed.length; from = to) {
      const next = isUsed.indexOf(isUsed[from] === 0 ? 1 : 0, from);
      to = next < 0 ? isUsed.length : next;
      if (isUsed[from] === 1) continue;
      await file.write(garbage, from * 512, (to - from) * 512, from * 512);
    }
    const { exitCode, stdout } = await check(disk);
    expect([exitCode, stdout]).toEqual([0, stdout]);
    const { stdout: content } = await execa(
      "debugfs",
      ["-R", "cat file-59", `${disk}?offset=${start}`],
      { encoding: "buffer" },
    );
    expect(content).toHaveLength(59 * 4001);
  },
);

test.each([
  ["with clusters", ["-b", "4096", "-O", "bigalloc"]],
  ["with meta groups", ["-b", "1024", "-O", "meta_bg,^resize_inode"]],
  ["with few copies", ["-b", "1024", "-O", "sparse_super2"]],
])("a file system %s is not understood", async (_name, options) => {
  await using file = await open(await makeDisk(options), "r");
  expect(await ext4UsedExtents(file, start)).toBeUndefined();
});

test("where there is none, nothing is found", async () => {
  const path = join(directory, "short.raw");
  await writeFile(path, "short");
  await using file = await open(path, "r");
  expect(await ext4UsedExtents(file, 0)).toBeUndefined();
});

async function makeDisk(options: readonly string[]): Promise<string> {
  const disk = join(directory, "disk.raw");
  await rm(disk, { force: true });
  await writeFile(disk, "");
  await truncate(disk, sizeBytes);
  const count = `${(sizeBytes - mebibyte) / 1024}k`;
  const layout = ["-E", `offset=${start},lazy_itable_init=0`, "-d", tree];
  await execa("mke2fs", [
    "-q",
    "-F",
    "-t",
    "ext4",
    ...options,
    ...layout,
    disk,
    count,
  ]);
  expect((await check(disk)).exitCode).toBe(0);
  return disk;
}

function check(disk: string) {
  const args = ["-fn", `${disk}?offset=${start}`];
  return execa("e2fsck", args, { reject: false });
}
