import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  isKept,
  keepLayer,
  unpackLayer,
} from "../../../infra/image/build/layerCache.ts";

let directory = "";
let cache = "";
let target = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "layer-test-"));
  cache = join(directory, "cache");
  target = join(directory, "target");
  const source = join(directory, "source");
  await mkdir(source);
  await mkdir(cache);
  await mkdir(target);
  await writeFile(join(source, "program"), "run me", { mode: 0o4755 });
  await symlink("program", join(source, "link"));
  await keepLayer(cache, "layer", source, join(cache, "unfinished"));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

it("a layer comes out as it went in, and replaces what was there", async () => {
  await writeFile(join(target, "older"), "");
  expect(await unpackLayer(cache, "layer", target)).toBe(true);
  expect((await readdir(target)).sort()).toEqual(["link", "program"]);
  expect(await readFile(join(target, "program"), "utf8")).toBe("run me");
  expect((await stat(join(target, "program"))).mode & 0o7777).toBe(0o4755);
  expect((await lstat(join(target, "link"))).isSymbolicLink()).toBe(true);
});

const tar = () => join(cache, "layer.tar");
it.each<[string, () => Promise<void>]>([
  [
    "altered",
    async () => {
      const content = await readFile(tar());
      content.write("pwn", content.indexOf("run me"));
      await writeFile(tar(), content);
    },
  ],
  ["cut short", async () => truncate(tar(), 2000)],
  ["emptied", async () => truncate(tar(), 0)],
  ["lost", async () => rm(tar())],
])("a layer that was %s is noticed, and forgotten", async (_, damage) => {
  await damage();
  expect(await isKept(cache, "layer")).toBe(true);
  expect(await unpackLayer(cache, "layer", target)).toBe(false);
  expect(await readdir(target)).toEqual([]);
  expect(await isKept(cache, "layer")).toBe(false);
  expect(await readdir(cache)).toEqual([]);
});
