/**
 * Artifacts of a distant store that are on this machine: made here, or fetched. Nothing in it is needed: it may be removed
 * whenever nothing runs. Several processes may use it at once.
 *
 *     artifacts/<sha256>   each touched when it is used
 *     incoming/, locks/    as in a store that is a directory, which this is
 */

import { rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { entriesOf, unlessMissing } from "./directories.ts";
import { DirectoryStore } from "./directoryStore.ts";
import { fileFailure } from "./fileFailure.ts";
import type { Artifact, Sha256 } from "./store.ts";

/** What stays in a cache. */
export interface CacheLimits {
  /** Artifacts that were not used for so long go. */
  readonly days: number;
  /** Beyond this many bytes on the disk the longest unused go, but none that was used in the last day: it may be in use. */
  readonly bytes: number;
}

const dayMilliseconds = 24 * 60 * 60 * 1000;

/** A week covers the days between two builds; 50 GiB are a few dozen images, of which a disk's holes take nothing. */
export const defaultCacheLimits: CacheLimits = { days: 7, bytes: 50 * 2 ** 30 };

/** Another process of this machine may be fetching an artifact: minutes on a slow network. */
const fetchPatienceSeconds = 3600;

interface CachedFile {
  readonly path: string;
  readonly usedMilliseconds: number;
  /** On the disk. */
  readonly bytes: number;
}

export class ArtifactCache {
  readonly #directory: DirectoryStore;
  readonly #limits: CacheLimits;
  /** Those that this process made, or has read and compared. */
  readonly #checked = new Set<Sha256>();

  constructor(path: string, limits: CacheLimits = defaultCacheLimits) {
    this.#directory = new DirectoryStore(path);
    this.#limits = limits;
  }

  /** See {@link DirectoryStore.withIncoming}. */
  withIncoming<T>(use: (directory: string) => Promise<T>): Promise<T> {
    return this.#directory.withIncoming(use);
  }

  /** Moves a file in, and removes what was not used for long. */
  async adopt(path: string): Promise<Artifact> {
    const artifact = await this.#directory.adopt(path);
    this.#checked.add(artifact.sha256);
    await this.#touch(artifact.sha256);
    await this.#prune();
    return artifact;
  }

  /** The path of an artifact, which is fetched unless it is there. */
  async file(sha256: Sha256, fetch: () => Promise<unknown>): Promise<string> {
    if (!(await this.#touch(sha256))) {
      await this.#directory.withLock(sha256, fetchPatienceSeconds, async () => {
        if (!(await this.#touch(sha256))) await fetch();
      });
    }
    await this.#check(sha256, fetch);
    return this.#directory.file(sha256);
  }

  /** What was altered since an earlier run is fetched again: nobody else looks at it. */
  async #check(sha256: Sha256, fetch: () => Promise<unknown>): Promise<void> {
    if (this.#checked.has(sha256)) return;
    await this.#directory.withLock(sha256, fetchPatienceSeconds, async () => {
      if ((await this.#directory.examine(sha256)) !== "sound") {
        await this.#directory.discard(sha256);
        await fetch();
      }
    });
    this.#checked.add(sha256);
  }

  /** Removes an artifact; one that is not there is no error. */
  discard(sha256: Sha256): Promise<void> {
    return this.#directory.discard(sha256);
  }

  /** Notes that an artifact is used now. @returns whether it is there */
  async #touch(sha256: Sha256): Promise<boolean> {
    const path = join(this.#artifacts, sha256);
    const now = new Date();
    try {
      const done = utimes(path, now, now).then(() => true);
      return (await unlessMissing(done)) ?? false;
    } catch (error) {
      throw fileFailure("use", path, error);
    }
  }

  async #prune(): Promise<void> {
    const files = await this.#files();
    const now = Date.now();
    let kept = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes, usedMilliseconds } of files) {
      const days = (now - usedMilliseconds) / dayMilliseconds;
      const isTooMuch = kept > this.#limits.bytes && days > 1;
      if (days <= this.#limits.days && !isTooMuch) continue;
      // One that cannot be removed costs room, and nothing else.
      await rm(path, { force: true }).catch(() => {});
      kept -= bytes;
    }
  }

  /** The longest unused first. */
  async #files(): Promise<CachedFile[]> {
    const found = await Promise.all(
      (await entriesOf(this.#artifacts)).map(async (name) => {
        const path = join(this.#artifacts, name);
        const status = await unlessMissing(stat(path));
        if (status === undefined) return [];
        // st_blocks counts 512 bytes each (stat(2)).
        const { mtimeMs: usedMilliseconds, blocks } = status;
        return { path, usedMilliseconds, bytes: blocks * 512 };
      }),
    );
    return found
      .flat()
      .sort((one, other) => one.usedMilliseconds - other.usedMilliseconds);
  }

  get #artifacts(): string {
    return join(this.#directory.location, "artifacts");
  }
}
