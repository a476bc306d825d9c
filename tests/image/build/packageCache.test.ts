import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  borrowPackages,
  cachedNameOf,
  forgetUnused,
  returnPackages,
} from "../../../infra/image/build/packageCache.ts";

let directory = "";
let cache = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "packages-test-"));
  cache = join(directory, "cache");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A build's own directory, filled from the cache. */
async function borrowed(name: string): Promise<string> {
  const own = join(directory, name);
  await mkdir(own);
  await borrowPackages(cache, own);
  return own;
}

it("what one build downloaded, the next one has", async () => {
  const first = await borrowed("first");
  await writeFile(join(first, "a_1_amd64.deb"), "package");
  await writeFile(join(first, "lock"), "");
  await returnPackages(cache, first);
  const second = await borrowed("second");
  expect(await readdir(second)).toEqual(["a_1_amd64.deb"]);
  expect(await readFile(join(second, "a_1_amd64.deb"), "utf8")).toBe("package");
});

it("a package that was altered is not lent again, and may be downloaded again", async () => {
  const first = await borrowed("first");
  await writeFile(join(first, "a_1_amd64.deb"), "package");
  await returnPackages(cache, first);
  const [name = ""] = await readdir(cache);
  await rm(join(first, "a_1_amd64.deb"));
  await writeFile(join(cache, name), "pockage");
  expect(await readdir(await borrowed("second"))).toEqual([]);
  expect(await readdir(cache)).toEqual([]);
});

it("what was not used for long is forgotten", async () => {
  const first = await borrowed("first");
  await writeFile(join(first, "a_1%3a2_amd64.deb"), "used");
  await writeFile(join(first, "b_1_all.deb"), "unused");
  await writeFile(join(first, "c_1_all.deb"), "unused, but young");
  await returnPackages(cache, first);
  const long = new Date(Date.now() - 8 * 24 * 3600 * 1000);
  for (const name of await readdir(cache)) {
    if (!name.includes("c_1")) await utimes(join(cache, name), long, long);
  }
  const used = { name: "a", version: "1:2", architecture: "amd64" };
  await forgetUnused(cache, cachedNameOf([used]));
  await forgetUnused(cache, () => false);
  const left = await readdir(await borrowed("second"));
  expect(left.sort()).toEqual(["a_1%3a2_amd64.deb", "c_1_all.deb"]);
});
