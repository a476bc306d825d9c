/**
 * What a process tree holds in memory that the kernel could not simply drop: the anonymous memory of its
 * processes, and the files in memory file systems that the tree has mounted in namespaces of its own. Cached
 * files of disks do not count: they are there as long as nobody else wants the memory.
 */

import { readdir, readFile, readlink, stat, statfs } from "node:fs/promises";
import { anonymousKiB, mountsOf, parentOf, treeOf } from "./proc.ts";

/** How often the tree is looked at. What comes and goes in between is not seen. In milliseconds. */
const interval = 250;

/** What statfs(2) calls tmpfs. */
const tmpfsMagic = 0x01021994;

/** Watches a tree's memory until it is stopped. */
export class MemoryWatch {
  readonly #processes: () => Promise<readonly number[]>;
  readonly #own: Promise<Place>;
  readonly #stop = Promise.withResolvers<void>();
  readonly #done: Promise<void>;
  #stopped = false;
  #peakBytes = 0;

  /** @param processes the tree's present processes */
  constructor(processes: () => Promise<readonly number[]>) {
    this.#processes = processes;
    this.#own = placeOf("self");
    this.#done = this.#watch();
  }

  /** Ends the watch. */
  async peakMiB(): Promise<number> {
    this.#stopped = true;
    this.#stop.resolve();
    await this.#done;
    return this.#peakBytes / 1024 ** 2;
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const pids = await this.#processes().catch(() => []);
      const bytes =
        (await anonymousBytes(pids)) +
        (await tmpfsBytes(pids, await this.#own));
      this.#peakBytes = Math.max(this.#peakBytes, bytes);
      const timer = Promise.withResolvers<void>();
      const handle = setTimeout(timer.resolve, interval);
      await Promise.race([timer.promise, this.#stop.promise]);
      clearTimeout(handle);
    }
  }
}

/** The descendants of a process, for want of a control group. Those whose parent died are not among them. */
export async function descendantsOf(root: number): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const parents = await Promise.all(
    pids.map(async (pid) => {
      const text = await readOrNothing(`/proc/${pid}/stat`);
      return [Number(pid), parentOf(text)] as const;
    }),
  );
  return treeOf(root, new Map(parents));
}

async function anonymousBytes(pids: readonly number[]): Promise<number> {
  const texts = await Promise.all(
    pids.map((pid) => readOrNothing(`/proc/${pid}/smaps_rollup`)),
  );
  return texts.reduce((sum, text) => sum + anonymousKiB(text) * 1024, 0);
}

/** Where a process sees its files: a mount namespace, and its root within that. */
interface Place {
  readonly namespace: string;
  readonly root: string;
}

async function placeOf(pid: number | "self"): Promise<Place> {
  const nothing = () => "";
  return {
    namespace: await readlink(`/proc/${pid}/ns/mnt`).catch(nothing),
    root: await readlink(`/proc/${pid}/root`).catch(nothing),
  };
}

/** Contents of the memory file systems that are mounted in other namespaces than `own` alone. */
async function tmpfsBytes(
  pids: readonly number[],
  own: Place,
): Promise<number> {
  const viewers = new Map<string, number>();
  for (const pid of pids) {
    const { namespace, root } = await placeOf(pid);
    if (namespace === "" || namespace === own.namespace) continue;
    viewers.set(`${namespace} ${root}`, pid);
  }
  const used = new Map<number, number>();
  for (const pid of viewers.values()) {
    for (const [device, bytes] of await tmpfsSeenBy(pid)) {
      used.set(device, bytes);
    }
  }
  if (used.size > 0) {
    for (const device of (await tmpfsSeenBy("self")).keys()) {
      used.delete(device);
    }
  }
  return [...used.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Device number and used bytes of each memory file system that a process can reach. */
async function tmpfsSeenBy(
  pid: number | "self",
): Promise<ReadonlyMap<number, number>> {
  const mounts = mountsOf(await readOrNothing(`/proc/${pid}/mountinfo`));
  const found = new Map<number, number>();
  for (const { place } of mounts.filter(({ type }) => type === "tmpfs")) {
    const path = `/proc/${pid}/root${place}`;
    try {
      const { dev } = await stat(path);
      const { type, blocks, bfree, bsize } = await statfs(path);
      if (type === tmpfsMagic) found.set(dev, (blocks - bfree) * bsize);
    } catch {
      // Gone by now, or hidden below another mount.
    }
  }
  return found;
}

async function readOrNothing(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
