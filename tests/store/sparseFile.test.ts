import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  copySparsely,
  dataExtents,
  writeSparsely,
} from "../../infra/store/sparseFile.ts";

const grain = 64 * 1024;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sparse-file-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A file of that many bytes with `x` at some places. */
async function fileWith(sizeBytes: number, places: readonly number[]) {
  const content = Buffer.alloc(sizeBytes);
  for (const place of places) content.write("x", place);
  const path = join(directory, "file");
  await writeFile(path, content);
  return { path, content };
}

describe("the data of a file", () => {
  it.each<[string, number, number[], [number, number][]]>([
    ["nothing in an empty file", 0, [], []],
    ["nothing in a file of zeros", 3 * grain + 5, [], []],
    ["whole grains", 5 * grain, [grain + 1], [[grain, grain]]],
    [
      "grains that touch as one",
      40 * grain,
      [16 * grain - 1, 16 * grain, 18 * grain],
      [
        [15 * grain, 2 * grain],
        [18 * grain, grain],
      ],
    ],
    ["an end that is no grain", grain + 7, [grain + 6], [[grain, 7]]],
  ])("is %s", async (_what, size, places, expected) => {
    const { path } = await fileWith(size, places);
    expect(await dataExtents(path)).toEqual(
      expected.map(([start, bytes]) => ({ start, bytes })),
    );
  });
});

it("has no data where the file system keeps nothing", async () => {
  const path = join(directory, "large");
  await using file = await open(path, "w");
  await file.write("x", 3 * grain + 4096);
  await file.write("x", 3 * grain + 3 * 4096);
  await file.write("x", 2 ** 40);
  await file.truncate(2 ** 40 + 5);
  // A terabyte of zeros would take minutes to read.
  expect(await dataExtents(path)).toEqual([
    { start: 3 * grain, bytes: grain },
    { start: 2 ** 40, bytes: 5 },
  ]);
});

describe("a copy", () => {
  it.each([0, 1, grain, 100 * grain + 3])(
    "of %i bytes has the same content, and may be written to",
    async (size) => {
      const { path, content } = await fileWith(size, size > 9 ? [9] : []);
      const copy = join(directory, "copy");
      await writeFile(copy, "what was there before");
      await copySparsely(path, copy);
      expect((await readFile(copy)).equals(content)).toBe(true);
      expect((await stat(copy)).mode & 0o200).toBe(0o200);
    },
  );

  it("keeps no zeros on the disk, wherever the original had them", async () => {
    const { path } = await fileWith(100 * grain, [50 * grain]);
    const copy = join(directory, "copy");
    await copySparsely(path, copy);
    const [original, sparse] = await Promise.all([stat(path), stat(copy)]);
    // Where the file system copies by reference, it copies the original's zeros, too.
    const isCloned = sparse.blocks === original.blocks;
    expect(isCloned || sparse.blocks * 512 <= 2 * grain).toBe(true);
  });

  it("of nothing says what is missing", async () => {
    await expect(
      copySparsely(join(directory, "none"), join(directory, "copy")),
    ).rejects.toThrow(/ENOENT.*none/);
  });
});

describe("bytes that come in pieces", () => {
  const written = async (content: Buffer, pieceBytes: number) => {
    async function* pieces() {
      for (let at = 0; at < content.length; at += pieceBytes) {
        yield content.subarray(at, at + pieceBytes);
      }
    }
    const path = join(directory, `written-${pieceBytes}`);
    const sizeBytes = await writeSparsely(pieces(), path);
    return { path, sizeBytes };
  };

  it.each([1000, grain - 1, grain, 3 * grain + 1])(
    "of %i are written as they are, with holes for zeros",
    async (pieceBytes) => {
      const places = [9, 50 * grain - 1, 50 * grain];
      const { content } = await fileWith(100 * grain + 3, places);
      const { path, sizeBytes } = await written(content, pieceBytes);
      expect(sizeBytes).toBe(content.length);
      expect((await readFile(path)).equals(content)).toBe(true);
      expect((await stat(path)).blocks * 512).toBeLessThanOrEqual(4 * grain);
    },
  );

  it("are never written over a file", async () => {
    await written(Buffer.from("x"), 1);
    await expect(written(Buffer.from("y"), 1)).rejects.toThrow(/EEXIST/);
  });
});
