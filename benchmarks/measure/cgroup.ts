/**
 * A control group of version 2 for one process tree: it knows all of the tree's processes, whatever namespace
 * they are in and whoever their parent is by now, and what processor time they took, also those that were killed.
 *
 * The group needs no controller, so it can be made wherever the present one may be written to: by root, and by
 * users whose group systemd has delegated to them.
 */

import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { errorCode } from "../../infra/store/fileFailure.ts";
import { mountsOf, numberIn } from "./proc.ts";

/** One control group; empty until a process writes itself into {@link Cgroup.entrance}. */
export interface Cgroup {
  /** The file that takes the pid of a process that moves in; its children follow. */
  readonly entrance: string;
  readonly processes: () => Promise<readonly number[]>;
  /** Processor time of all who are or were in it, user and system. */
  readonly cpuSeconds: () => Promise<number>;
  /** Ends everything in it and removes it; once it is gone, does nothing. */
  readonly close: () => Promise<void>;
}

/** How long the kernel may take until killed processes are gone. */
const endPatienceMilliseconds = 5_000;

let made = 0;

/** A new group inside the present one, or `undefined` where none can be made. */
export async function makeCgroup(): Promise<Cgroup | undefined> {
  const parent = await ownCgroup();
  if (parent === undefined) return undefined;
  made += 1;
  const directory = join(parent, `cloud-images-bench-${process.pid}-${made}`);
  const read = (name: string) => readFile(join(directory, name), "utf8");
  try {
    await mkdir(directory);
  } catch {
    return undefined;
  }
  const group: Cgroup = {
    entrance: join(directory, "cgroup.procs"),
    processes: async () =>
      (await read("cgroup.procs")).trim().split("\n").map(Number),
    cpuSeconds: async () =>
      numberIn(await read("cpu.stat"), /^usage_usec (\d+)$/m) / 1e6,
    close: () => close(directory),
  };
  if (await isUsable(group)) return group;
  await group.close();
  return undefined;
}

/** The directory of this process's own group in the unified hierarchy. */
async function ownCgroup(): Promise<string | undefined> {
  const mounts = mountsOf(await readFile("/proc/self/mountinfo", "utf8"));
  const mount = mounts.find(({ type }) => type === "cgroup2");
  const groups = await readFile("/proc/self/cgroup", "utf8");
  const path = /^0::(.*)$/m.exec(groups)?.[1];
  return mount === undefined || path === undefined
    ? undefined
    : join(mount.place, path);
}

/** Being allowed to make a group does not mean being allowed to move into it. */
async function isUsable(group: Cgroup): Promise<boolean> {
  const script = 'echo $$ > "$0"';
  const tried = await execa("sh", ["-c", script, group.entrance], {
    reject: false,
  });
  const seconds = await group.cpuSeconds().catch(() => Number.NaN);
  return tried.exitCode === 0 && !Number.isNaN(seconds);
}

async function close(directory: string): Promise<void> {
  const until = performance.now() + endPatienceMilliseconds;
  for (;;) {
    // Linux 5.14 and later; before that, whoever started the tree has to end it.
    await writeFile(join(directory, "cgroup.kill"), "1").catch(() => {});
    try {
      return await rmdir(directory);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return;
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
