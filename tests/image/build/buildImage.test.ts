/** What is left of a build that does not come to its end, with the real unshare and the real FAI. */

import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BuildError, InterruptedError } from "../../../infra/errors.ts";
import { buildImage } from "../../../infra/image/build/build.ts";
import {
  endlessRequest,
  hookSign,
  logOf,
  type Process,
  processesOfBuild,
  stillRunning,
  withEndlessBuild,
} from "./endlessBuild.ts";

/** Waits until FAI runs the hook. @returns all processes of the build */
async function untilHookRuns(directory: string): Promise<readonly Process[]> {
  await expect
    .poll(() => readFile(logOf(directory), "utf8").catch(() => ""), {
      timeout: 50_000,
    })
    .toContain(`\n${hookSign}\n`);
  const commandsOf = (processes: readonly Process[]) =>
    processes.map(({ command }) => command).join("\n");
  // The hook says that it runs before what it starts does.
  await expect
    .poll(
      async () =>
        commandsOf(await processesOfBuild(directory)).match(/^sleep 3600/gm),
      { timeout: 10_000 },
    )
    .toHaveLength(2);
  const processes = await processesOfBuild(directory);
  const commands = commandsOf(processes);
  expect(commands).toMatch(/^unshare /m);
  expect(commands).toMatch(/insideNamespace\.ts/);
  expect(commands).toMatch(/\bfai .*install/);
  return processes;
}

/** Fails when anything of the build is left. */
async function expectNothingLeft(
  directory: string,
  processes: readonly Process[],
): Promise<void> {
  await expect
    .poll(() => stillRunning(processes), { timeout: 5_000 })
    .toEqual([]);
  expect(await processesOfBuild(directory)).toEqual([]);
  expect(await readFile("/proc/self/mounts", "utf8")).not.toContain(directory);
  expect(await readdir(join(directory, "output"))).toEqual([]);
}

/** What builds have of their own in the cache. */
async function privateParts(directory: string): Promise<readonly string[]> {
  const { cacheDirectory } = endlessRequest(directory, 600);
  const names = await readdir(cacheDirectory);
  const shared = ["layers", "layer-locks", "packages"];
  return names.filter((name) => !shared.includes(name));
}

test("a build that takes longer than its definition allows is ended, and says so", async () => {
  await withEndlessBuild(async (directory) => {
    const ending = buildImage(
      endlessRequest(directory, 5),
      logOf(directory),
      () => {},
    ).catch((error: unknown) => error);
    await expect
      .poll(() => processesOfBuild(directory), { timeout: 5000 })
      .not.toEqual([]);
    const processes = await processesOfBuild(directory);
    const error = await ending;
    expect(error).toBeInstanceOf(BuildError);
    expect((error as BuildError).message).toMatch(
      /^The build of debian-13-endless-amd64 took longer than 5 s \(build\.timeoutSeconds of its definition\) in phase "(prepare|base system)"\. The whole log is in /,
    );
    expect((error as BuildError).message).toContain(`${logOf(directory)}.`);
    await expectNothingLeft(directory, processes);
    expect(await privateParts(directory)).toEqual([]);
  });
});

test("a build that is cancelled ends with all that it started, and says so", async () => {
  await withEndlessBuild(async (directory) => {
    const controller = new AbortController();
    const ending = buildImage(
      endlessRequest(directory, 600),
      logOf(directory),
      () => {},
      { signal: controller.signal },
    ).catch((error: unknown) => error);
    const processes = await untilHookRuns(directory);
    controller.abort();
    expect(await ending).toEqual(
      new InterruptedError(
        `The build of debian-13-endless-amd64 was interrupted in phase "base system". The whole log is in ${logOf(directory)}.`,
      ),
    );
    await expectNothingLeft(directory, processes);
    expect(await privateParts(directory)).toEqual([]);
  });
});

test.each([
  ["its first process", /^unshare /],
  ["what runs in its namespace", /^\S*node \S*insideNamespace\.ts/],
])("a build has not failed when somebody kills %s", async (_what, victim) => {
  await withEndlessBuild(async (directory) => {
    const ending = buildImage(
      endlessRequest(directory, 600),
      logOf(directory),
      () => {},
    ).catch((error: unknown) => error);
    const processes = await untilHookRuns(directory);
    const killed = processes.find(({ command }) => victim.test(command));
    process.kill(killed?.pid ?? expect.fail(), "SIGKILL");
    expect(await ending).toBeInstanceOf(InterruptedError);
    await expectNothingLeft(directory, processes);
  });
});

test("a build dies with its program, and the next one clears up", async () => {
  await withEndlessBuild(async (directory) => {
    const orphan = spawn(
      process.execPath,
      [join(import.meta.dirname, "orphan.ts"), directory],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    try {
      const processes = await untilHookRuns(directory);
      orphan.kill("SIGKILL");
      await expectNothingLeft(directory, processes);
      expect(await privateParts(directory)).toHaveLength(1);

      const next = endlessRequest(directory, 1);
      await expect(
        buildImage(next, logOf(directory), () => {}),
      ).rejects.toThrow(/took longer than 1 s/);
      expect(await privateParts(directory)).toEqual([]);
    } finally {
      orphan.kill("SIGKILL");
    }
  });
});
