/** What is left of a boot check whose program was killed. */

import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkBoot } from "../../../infra/image/bootCheck/checkBoot.ts";
import { diskOf, requestFor, withDirectory } from "./fixtures.ts";
import { sectorThat } from "./sectors.ts";

test("qemu dies with its program, and the next check clears up", async () => {
  await withDirectory(async (directory) => {
    const orphan = spawn(
      process.execPath,
      [join(import.meta.dirname, "orphan.ts"), directory],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await saidBy(orphan, "first output");
    const work = join(directory, "work");
    const [left = ""] = await readdir(work);
    const qemu = await programsAt(join(work, left));
    expect(qemu).toHaveLength(1);

    orphan.kill("SIGKILL");
    await expect
      .poll(() => programsAt(join(work, left)), { timeout: 3_000 })
      .toEqual([]);

    expect(await readdir(work)).toEqual([left]);
    const disk = await diskOf(directory, sectorThat("reset"));
    await expect(checkBoot(requestFor(directory, disk))).rejects.toThrow();
    expect(await readdir(work)).toEqual([]);
  });
});

function saidBy(child: ChildProcess, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = "";
  child.stdout?.on("data", (data: Buffer) => {
    said += data.toString();
    if (said.includes(text)) resolve();
  });
  child.on("close", () => reject(new Error(`It ended, having said: ${said}`)));
  return promise;
}

/** Pids of the programs that were given the path. */
async function programsAt(path: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(
        () => "",
      );
      return line.includes(path) ? [pid] : [];
    }),
  );
  return found.flat();
}
