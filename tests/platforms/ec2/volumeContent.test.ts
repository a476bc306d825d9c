import {
  mkdtemp,
  open,
  readFile,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PublicationError, StoreError } from "../../../infra/errors.ts";
import {
  blockBytes,
  type RawDisk,
} from "../../../infra/platforms/ec2/snapshotRequest.ts";
import {
  compareDisk,
  writeDisk,
} from "../../../infra/platforms/ec2/volumeContent.ts";
import { sha256Of } from "./volumeCloud.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "content-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const silent = () => {};

/** Four blocks, of which the first and the last, a short one, are not zeros. */
const content = Buffer.alloc(3 * blockBytes + 100);
content.fill("data", 0, 1000);
content.fill("end", 3 * blockBytes);
const plan = [0, 3];

async function disk(): Promise<RawDisk> {
  const rawPath = join(directory, "disk.raw");
  await writeFile(rawPath, content);
  const sizeBytes = content.length;
  return { rawPath, rawSha256: sha256Of(content), sizeBytes };
}

/** A device of six blocks. */
async function device(fill: string, isBlank: boolean) {
  const path = join(directory, "device");
  await writeFile(path, Buffer.alloc(6 * blockBytes, fill));
  return { path, sizeBytes: 6 * blockBytes, isBlank };
}

describe("a disk is written", () => {
  it.each([
    ["a blank device", "\0", true],
    ["one that holds something", "x", false],
  ])("to %s, and zeros are all around", async (_what, fill, isBlank) => {
    const target = await device(fill, isBlank);
    const done: number[] = [];
    const written = await writeDisk(await disk(), target, plan, (bytes) =>
      done.push(bytes),
    );
    expect(written).toBe(2 * blockBytes);
    expect(done).toEqual([blockBytes, blockBytes]);
    const wanted = Buffer.alloc(6 * blockBytes);
    content.copy(wanted);
    expect((await readFile(target.path)).equals(wanted)).toBe(true);
  });

  it("only as it was recorded", async () => {
    const target = await device("x", true);
    const raw = await disk();
    await truncate(raw.rawPath, 5);
    const writing = writeDisk(raw, target, plan, silent);
    await expect(writing).rejects.toThrow(StoreError);
    await expect(writing).rejects.toThrow(/has 5 bytes and not 1572964/);
    expect(await readFile(target.path, "ascii")).toMatch(/^x+$/);
  });

  it("or the device is named that refuses", async () => {
    const target = { path: "/dev/full", sizeBytes: 1, isBlank: true };
    const writing = writeDisk(await disk(), target, plan, silent);
    await expect(writing).rejects.toThrow(PublicationError);
    await expect(writing).rejects.toThrow(
      /^It was not possible to write to the device \/dev\/full: ENOSPC/,
    );
  });
});

describe("a device is compared", () => {
  it("with all of the disk, whose sha256 it has", async () => {
    const raw = await disk();
    const path = join(directory, "device");
    await writeFile(path, Buffer.concat([content, Buffer.alloc(100)]));
    expect(await compareDisk(raw, path, [0, 1, 2, 3], silent)).toEqual({
      sha256: raw.rawSha256,
    });
  });

  it("and the first block that differs is told", async () => {
    const raw = await disk();
    const path = join(directory, "device");
    await writeFile(path, content);
    await using file = await open(path, "r+");
    for (const place of [2 * blockBytes + 5, 3 * blockBytes]) {
      await file.write(Buffer.from("!"), 0, 1, place);
    }
    expect(await compareDisk(raw, path, [0, 1, 2, 3], silent)).toEqual({
      differing: 2,
    });
    expect(await compareDisk(raw, path, [0, 3], silent)).toEqual({
      differing: 3,
    });
  });

  it("and must be as long", async () => {
    const path = join(directory, "device");
    await writeFile(path, content.subarray(0, blockBytes + 1));
    await expect(
      compareDisk(await disk(), path, [0, 1], silent),
    ).rejects.toThrow(/ends at 524289 bytes, before the disk does/);
  });
});
