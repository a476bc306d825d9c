import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { projectPath } from "../../../infra/projectPaths.ts";

let target = "";

beforeEach(async () => {
  target = await mkdtemp(join(tmpdir(), "update-base-test-"));
  await put("etc/apt/sources.list.d/debian.sources", "ours\n");
  await put("var/lib/apt/sources-of-base", "ours\n");
});

afterEach(async () => {
  await rm(target, { recursive: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(target, path)), { recursive: true });
  await writeFile(join(target, path), text);
}

/** Runs it with a ROOTCMD that only says what it was to run. @returns apt-get's actions */
async function updateBase(...args: string[]): Promise<string[]> {
  const { stdout } = await execa(
    projectPath("infra/image/build/updateBase.sh"),
    args,
    { env: { target, ROOTCMD: "echo" } },
  );
  return stdout === ""
    ? []
    : stdout.split("\n").map((line) => line.split(" ").at(-1) ?? "");
}

it("does nothing where the sources are those of the base system", async () => {
  expect(await updateBase("--lists")).toEqual([]);
  expect(await updateBase()).toEqual([]);
});

it("fetches lists once for sources that a class brings, and upgrades to what they have", async () => {
  await put("etc/apt/sources.list.d/worker.sources", "theirs\n");
  expect(await updateBase("--lists")).toEqual(["update"]);
  expect(await updateBase("--lists")).toEqual([]);
  expect(await updateBase()).toEqual(["dist-upgrade"]);
});

it("fetches lists before it upgrades where no layer has done so", async () => {
  await put("etc/apt/sources.list", "theirs\n");
  expect(await updateBase()).toEqual(["update", "dist-upgrade"]);
});

it("upgrades to what a class prefers", async () => {
  await put("etc/apt/preferences.d/backports.pref", "Package: linux-*\n");
  expect(await updateBase("--lists")).toEqual([]);
  expect(await updateBase()).toEqual(["dist-upgrade"]);
});
