import {
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { orderFiles } from "../../../infra/image/build/fileOrder.ts";

const epochSeconds = 1_700_000_000;
/** Older than the epoch. */
const oldSeconds = 1_600_000_000;
/** Not UTF-8. */
const latin1 = Buffer.from("na\xefve", "latin1");

let directory = "";

beforeEach(async () => {
  // A tmpfs, as the build's own memory is.
  directory = await mkdtemp("/dev/shm/file-order-test-");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** Makes a tree whose entries come into it in the order given. @returns its path */
function makeTree(name: string, order: readonly string[]): string {
  const tree = join(directory, name);
  mkdirSync(tree);
  for (const entry of order) {
    // Below each directory are names that stand beside it as well.
    mkdirSync(join(tree, entry));
    for (const below of order) {
      writeFileSync(join(tree, entry, below), `${entry} ${below}`);
    }
  }
  writeFileSync(
    Buffer.concat([Buffer.from(`${tree}/`), latin1]),
    "not in UTF-8",
  );
  symlinkSync("nowhere", join(tree, "link"));
  writeFileSync(join(tree, "old"), "");
  utimesSync(join(tree, "old"), oldSeconds, oldSeconds);
  utimesSync(join(tree, "a"), oldSeconds, oldSeconds);
  return tree;
}

function order(tree: string): void {
  orderFiles(tree, join(directory, "aside"), epochSeconds);
}

/** Everything in a tree, in the order in which its directories list it. */
async function listing(tree: string): Promise<string> {
  const { stdout } = await execa("ls", ["-U", "-R", "-b"], { cwd: tree });
  return stdout;
}

it("lists the same, in whatever order the entries came", async () => {
  const one = makeTree("one", ["a", "b", "c"]);
  const other = makeTree("other", ["c", "a", "b"]);
  expect(await listing(other)).not.toBe(await listing(one));
  order(one);
  order(other);
  expect(await listing(other)).toBe(await listing(one));
  expect(readFileSync(join(other, "b", "c"), "utf8")).toBe("b c");
});

it("leaves no date after the epoch, and those before it as they were", () => {
  const tree = makeTree("tree", ["a", "b"]);
  order(tree);
  const seconds = (...path: string[]) =>
    lstatSync(join(tree, ...path)).mtimeMs / 1000;
  expect(seconds()).toBe(epochSeconds);
  expect(seconds("b", "a")).toBe(epochSeconds);
  expect(seconds("link")).toBe(epochSeconds);
  expect(seconds("old")).toBe(oldSeconds);
  expect(seconds("a")).toBe(oldSeconds);
});
