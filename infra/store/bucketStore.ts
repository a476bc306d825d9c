/**
 * A store kept in a bucket, of whatever service.
 *
 *     <prefix>/artifacts/<sha256>   files, compressed by zstd; what they are called by is the sha256 of what comes out
 *     <prefix>/documents/<name>     documents, as they are
 *     <prefix>/locks/<name>         objects, kept fresh by their holder: see bucketLock.ts
 *
 * Files that are made or needed here are in a cache on this machine: see artifactCache.ts.
 *
 * Each object is written in one step. Artifacts and the locks of this store are safe whoever else is at work. A document that
 * is read under a lock is written under it only if nobody else wrote it since, and nothing is written under a lock that
 * was lost: no update is lost even where a holder was taken for dead.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../errors.ts";
import { ArtifactCache, type CacheLimits } from "./artifactCache.ts";
import type { Bucket, ObjectHead, WriteCondition } from "./bucket.ts";
import { bucketLock, defaultLeaseSeconds } from "./bucketLock.ts";
import { compressFile, decompressed, decompressTo } from "./compressedFile.ts";
import { fileFailure } from "./fileFailure.ts";
import { type HeldLock, type Lock, requireHeld, whileHolding } from "./lock.ts";
import {
  checkedDocumentName,
  checkedSha256,
  isSafeName,
  lockFileName,
} from "./names.ts";
import type {
  Artifact,
  ArtifactState,
  DocumentName,
  Sha256,
  Store,
} from "./store.ts";

/** Where in which bucket. */
export interface BucketSource {
  /** As people write it, the prefix included. */
  readonly location: string;
  readonly prefix: string | undefined;
  /** Loads what is needed to reach it. */
  open(): Promise<Bucket>;
}

/** What may differ between stores of one bucket, mostly in tests. */
export interface BucketStoreOptions {
  /** A directory of this machine. */
  readonly cache: string;
  readonly cacheLimits?: CacheLimits;
  readonly leaseSeconds?: number;
}

/** One upload of an artifact waits for another one of the same. */
const uploadPatienceSeconds = 3600;

/** A lock that is held here and now, and what was read under it. */
interface LockContext {
  readonly lock: Lock;
  readonly held: HeldLock;
  readonly outer: LockContext | undefined;
  /** The documents that were read, and what they were. */
  readonly read: Map<DocumentName, WriteCondition>;
}

export class BucketStore implements Store {
  readonly location: string;
  readonly #source: BucketSource;
  readonly #prefix: string;
  readonly #cache: ArtifactCache;
  readonly #leaseSeconds: number;
  readonly #locks = new AsyncLocalStorage<LockContext>();
  #bucket: Promise<Bucket> | undefined;

  constructor(source: BucketSource, options: BucketStoreOptions) {
    const { location, prefix } = source;
    this.#source = source;
    this.#prefix = prefix === undefined ? "" : `${prefix}/`;
    this.location = location;
    this.#cache = new ArtifactCache(options.cache, options.cacheLimits);
    this.#leaseSeconds = options.leaseSeconds ?? defaultLeaseSeconds;
  }

  withIncoming<T>(use: (directory: string) => Promise<T>): Promise<T> {
    return this.#cache.withIncoming(use);
  }

  async adopt(path: string): Promise<Artifact> {
    const artifact = await this.#cache.adopt(path);
    const { sha256 } = artifact;
    if ((await this.examine(sha256)) === "sound") return artifact;
    await this.#withOwnLock(
      `upload-${sha256}`,
      uploadPatienceSeconds,
      async () => {
        if ((await this.examine(sha256)) !== "sound")
          await this.#upload(sha256);
      },
    );
    return artifact;
  }

  async file(sha256: Sha256): Promise<string> {
    const key = this.#artifactKey(sha256);
    const bucket = await this.#open();
    if ((await bucket.head(key)) === undefined)
      this.#refuseMissing(bucket.addressOf(key));
    return this.#cache.file(sha256, () => this.#download(sha256));
  }

  /**
   * Compares the checksum that the service has of the object, and the size, with those that were noted at upload.
   * Where that does not fit, or there is none, as in a copy by other means, the whole artifact is read: it is altered only
   * if its bytes are not what its name says. What goes bad at rest is the service's to prevent, and is found when it is read.
   */
  async examine(sha256: Sha256): Promise<ArtifactState> {
    const key = this.#artifactKey(sha256);
    const bucket = await this.#open();
    const head = await bucket.head(key);
    if (head === undefined) return "missing";
    if (isAsUploaded(head, sha256)) return "sound";
    const found = await bucket.open(key);
    if (found === undefined) return "missing";
    const hash = createHash("sha256");
    try {
      for await (const chunk of decompressed(found.chunks)) hash.update(chunk);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      return "altered";
    }
    return hash.digest("hex") === sha256 ? "sound" : "altered";
  }

  async discard(sha256: Sha256): Promise<void> {
    const key = this.#artifactKey(sha256);
    this.#requireLocks();
    const bucket = await this.#open();
    await bucket.remove(key);
    await bucket.abortUploads(key);
    await this.#cache.discard(sha256);
  }

  async list(prefix: DocumentName): Promise<readonly DocumentName[]> {
    const name = prefix.replace(/\/$/, "");
    const below = name === "" ? this.#documents : `${this.#documentKey(name)}/`;
    const keys = await (await this.#open()).list(below);
    return keys
      .map((key) => key.slice(this.#documents.length))
      .filter((each) => isSafeName(each))
      .sort();
  }

  async read(name: DocumentName): Promise<string | undefined> {
    const bytes = await this.readBytes(name);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString();
  }

  async readBytes(name: DocumentName): Promise<Uint8Array | undefined> {
    const key = this.#documentKey(name);
    const found = await (await this.#open()).read(key);
    const condition = found === undefined ? "absent" : { etag: found.etag };
    this.#locks.getStore()?.read.set(name, condition);
    return found?.bytes;
  }

  async write(name: DocumentName, text: string | Uint8Array): Promise<void> {
    const key = this.#documentKey(name);
    this.#requireLocks();
    const bucket = await this.#open();
    const read = this.#locks.getStore()?.read;
    const condition = read?.get(name);
    const written = await bucket.write(key, text, {}, condition);
    const etag = written ?? (await this.#etagIfSame(key, text));
    if (etag === undefined) this.#refuseChanged(name);
    read?.set(name, { etag });
  }

  async remove(name: DocumentName): Promise<void> {
    const key = this.#documentKey(name);
    this.#requireLocks();
    await (await this.#open()).remove(key);
    this.#locks.getStore()?.read.delete(name);
  }

  async withLock<T>(
    name: string,
    patienceSeconds: number,
    use: () => Promise<T>,
  ): Promise<T> {
    return this.#withOwnLock(lockFileName(name), patienceSeconds, use, name);
  }

  async #withOwnLock<T>(
    fileName: string,
    patienceSeconds: number,
    use: () => Promise<T>,
    name = fileName,
  ): Promise<T> {
    const key = `${this.#prefix}locks/${fileName}`;
    const bucket = await this.#open();
    const lock = bucketLock(name, bucket, key, this.#leaseSeconds);
    return whileHolding(lock, patienceSeconds, (held) => {
      const outer = this.#locks.getStore();
      return this.#locks.run({ lock, held, outer, read: new Map() }, use);
    });
  }

  /** @throws {StoreError} when any of the locks under which this runs was lost. */
  #requireLocks(): void {
    for (
      let context = this.#locks.getStore();
      context !== undefined;
      context = context.outer
    ) {
      requireHeld(context.lock, context.held);
    }
  }

  /** Under the upload's lock nobody else uploads it: an upload that was not brought to its end is that of a dead process. */
  async #upload(sha256: Sha256): Promise<void> {
    const key = this.#artifactKey(sha256);
    const bucket = await this.#open();
    await bucket.abortUploads(key);
    await this.#cache.withIncoming(async (directory) => {
      const draft = join(directory, `${sha256}.zst`);
      let checksum: string;
      let sizeBytes: number;
      try {
        await compressFile(await this.#cachedFile(sha256), draft);
        checksum = await bucket.checksumOf(draft);
        sizeBytes = (await stat(draft)).size;
      } catch (error) {
        throw fileFailure("compress", draft, error);
      }
      await bucket.upload(key, draft, checksum, {
        contentType: "application/zstd",
        metadata: { sha256, checksum, bytes: String(sizeBytes) },
      });
    });
  }

  /** An artifact that was adopted a moment ago. */
  #cachedFile(sha256: Sha256): Promise<string> {
    return this.#cache.file(sha256, () => this.#download(sha256));
  }

  async #download(sha256: Sha256): Promise<void> {
    const key = this.#artifactKey(sha256);
    const bucket = await this.#open();
    await this.#cache.withIncoming(async (directory) => {
      const found = await bucket.open(key);
      if (found === undefined) this.#refuseMissing(bucket.addressOf(key));
      const path = join(directory, sha256);
      await decompressTo(path, found.chunks).catch((error: unknown) => {
        if (isZstdError(error))
          this.#refuseAltered(bucket.addressOf(key), "is no zstd file");
        throw fileFailure("write", path, error);
      });
      const actual = (await this.#cache.adopt(path)).sha256;
      if (actual === sha256) return;
      await this.#cache.discard(actual);
      this.#refuseAltered(
        bucket.addressOf(key),
        `has bytes with the sha256 ${actual}`,
      );
    });
  }

  /** The ETag of an object whose bytes are these: a write whose answer got lost is sent again, and fails. */
  async #etagIfSame(
    key: string,
    text: string | Uint8Array,
  ): Promise<string | undefined> {
    const found = await (await this.#open()).read(key);
    const isSame =
      found !== undefined && Buffer.from(found.bytes).equals(Buffer.from(text));
    return isSame ? found.etag : undefined;
  }

  #open(): Promise<Bucket> {
    this.#bucket ??= this.#source.open().catch((error: unknown) => {
      // What fails now may pass.
      this.#bucket = undefined;
      throw error;
    });
    return this.#bucket;
  }

  #artifactKey(sha256: Sha256): string {
    return `${this.#prefix}artifacts/${checkedSha256(sha256)}`;
  }

  get #documents(): string {
    return `${this.#prefix}documents/`;
  }

  #documentKey(name: DocumentName): string {
    return this.#documents + checkedDocumentName(name);
  }

  #refuseMissing(address: string): never {
    throw new StoreError(
      `The store has no artifact ${address}. Refresh the stack and run \`pulumi up\`, which builds what is missing.`,
    );
  }

  #refuseAltered(address: string, fault: string): never {
    throw new StoreError(
      `The artifact ${address} was altered: it ${fault}. Remove it, refresh the stack and run \`pulumi up\`, which makes it anew.`,
    );
  }

  #refuseChanged(name: DocumentName): never {
    throw new StoreError(
      `The document ${name} in the store ${this.location} was changed by somebody else after it was read here. It was left as it is. Run again.`,
    );
  }
}

function isAsUploaded(
  { metadata, checksum, sizeBytes }: ObjectHead,
  sha256: Sha256,
): boolean {
  return (
    checksum !== undefined &&
    metadata.sha256 === sha256 &&
    metadata.checksum === checksum &&
    metadata.bytes === String(sizeBytes)
  );
}

/** Codes of zlib for bytes that zstd did not write (`ZSTD_error_…`), and for those that end too soon. */
function isZstdError(error: unknown): boolean {
  const code =
    error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(ZSTD_error_|Z_|ERR_ZLIB)/.test(code);
}
