/**
 * A published tree in a bucket, with the names that it has in a directory. A bucket has no links: `latest/` has copies of
 * the newest files, which S3 makes itself. SHA512SUMS there is written after them, so that whoever reads in between sees
 * that something does not fit, and never takes the wrong for the right.
 *
 * What was put carries its digests as metadata, and counts as what they say while S3's own checksum of it is that of the
 * upload. Everything else is read as a whole.
 */

import { createHash } from "node:crypto";
import { posix } from "node:path";
import pLimit from "p-limit";
import { type BucketObjects, partBytesOf } from "../../aws/bucketObjects.ts";
import { StoreError } from "../../errors.ts";
import type { ObjectHead, WriteCondition } from "../../store/bucket.ts";
import type { FileDigests } from "../../store/digest.ts";
import {
  removeEmptyDirectories,
  withPrivateDirectory,
} from "../../store/directories.ts";
import type { Sha256 } from "../../store/store.ts";
import type { LatestDirectory, LatestFile } from "../tree/catalogue.ts";
import { generator, latestLink, sumsFileName } from "../tree/layout.ts";
import { formatOf, mediaTypeOf } from "../tree/mediaTypes.ts";
import type { PublishedTree, ViewState } from "../tree/publishedTree.ts";

/** Requests at the same time, for what there are many of. */
const concurrentRequests = 8;

/** Of dated images, whose bytes never change, and of everything else, which may: seconds, for whoever caches. */
const lastingCacheControl = "public, max-age=31536000, immutable";
const shortCacheControl = "public, max-age=300";

export class BucketTree implements PublishedTree {
  /** A bucket lists nothing to those who only read. */
  readonly latestIndex = sumsFileName;
  readonly #objects: BucketObjects;
  readonly #prefix: string;
  readonly #drafts: string;
  /** What was where a file may be put. */
  readonly #seen = new Map<string, WriteCondition>();

  /**
   * @param prefix where in the bucket
   * @param drafts a directory of this machine, made when it is needed
   */
  constructor(
    objects: BucketObjects,
    prefix: string | undefined,
    drafts: string,
  ) {
    this.#objects = objects;
    this.#prefix = prefix === undefined ? "" : `${prefix}/`;
    this.#drafts = drafts;
  }

  addressOf(path: string): string {
    return this.#objects.addressOf(this.#key(path));
  }

  async digests(path: string): Promise<FileDigests | undefined> {
    const key = this.#key(path);
    const head = await this.#objects.head(key);
    this.#seen.set(path, head === undefined ? "absent" : { etag: head.etag });
    if (head === undefined) return undefined;
    return digestsIn(head) ?? this.#readDigests(key);
  }

  async withDrafts<T>(
    _directory: string,
    use: (drafts: string) => Promise<T>,
  ): Promise<T> {
    try {
      return await withPrivateDirectory(this.#drafts, "", use);
    } finally {
      await removeEmptyDirectories(this.#drafts, this.#drafts);
    }
  }

  /** It is only read. */
  async draftOf(path: string): Promise<string> {
    return path;
  }

  async put(draft: string, path: string, digests: FileDigests): Promise<void> {
    const key = this.#key(path);
    const checksum = await this.#objects.checksumOf(draft);
    const { sha256, sha512, sizeBytes } = digests;
    // Only who holds the publication's lock uploads its files: others are of processes that died.
    const isInParts = sizeBytes > partBytesOf(sizeBytes);
    if (isInParts) await this.#objects.abortUploads(key);
    const metadata = {
      ...{ generator, sha256, sha512, checksum },
      bytes: String(sizeBytes),
    };
    const headers = { ...headersOf(path), metadata };
    const seen = this.#seen.get(path);
    if (await this.#objects.upload(key, draft, checksum, headers, seen)) return;
    throw new StoreError(
      `${this.addressOf(path)} was put there by somebody else at this moment. It was left as it is. Move it away, or publish somewhere else.`,
    );
  }

  async readText(path: string): Promise<string | undefined> {
    const found = await this.#objects.read(this.#key(path));
    return found && Buffer.from(found.bytes).toString();
  }

  async writeText(path: string, text: string): Promise<void> {
    const headers = { ...headersOf(path), metadata: { generator } };
    await this.#objects.write(this.#key(path), text, headers);
  }

  async isLink(): Promise<boolean> {
    return false;
  }

  remove(path: string): Promise<void> {
    return this.#objects.remove(this.#key(path));
  }

  async pointLatest(
    channel: string,
    { files, sums }: LatestDirectory,
  ): Promise<void> {
    await pLimit(concurrentRequests).map(files, async (file) => {
      if (!(await this.#isLatestSound(channel, file))) {
        await this.#copyLatest(channel, file);
      }
    });
    const sumsPath = latestPath(channel, sumsFileName);
    if ((await this.readText(sumsPath)) !== sums) {
      await this.writeText(sumsPath, sums);
    }
    const present = await this.#latestPaths(channel);
    const others = withoutThose(present, channel, files);
    for (const path of await this.#own(others)) await this.remove(path);
  }

  async examineLatest(
    channel: string,
    { files, sums }: LatestDirectory,
  ): Promise<ViewState> {
    const present = await this.#latestPaths(channel);
    if (present.length === 0) return "missing";
    const sound = await pLimit(concurrentRequests).map(files, (file) =>
      this.#isLatestSound(channel, file),
    );
    const others = withoutThose(present, channel, files);
    const isSound =
      sound.every((each) => each) &&
      (await this.#own(others)).length === 0 &&
      (await this.readText(latestPath(channel, sumsFileName))) === sums;
    return isSound ? "sound" : "altered";
  }

  async isLatestFreeOrOwn(channel: string): Promise<boolean> {
    const present = await this.#latestPaths(channel);
    return (await this.#own(present)).length === present.length;
  }

  async removeLatest(channel: string): Promise<void> {
    const present = await this.#latestPaths(channel);
    for (const path of await this.#own(present)) await this.remove(path);
  }

  /** What is not complete is not visible in a bucket: the next upload ends it. */
  async tidy(): Promise<void> {}

  #key(path: string): string {
    return this.#prefix + path;
  }

  async #readDigests(key: string): Promise<FileDigests | undefined> {
    const found = await this.#objects.open(key);
    if (found === undefined) return undefined;
    const sha256 = createHash("sha256");
    const sha512 = createHash("sha512");
    let sizeBytes = 0;
    for await (const chunk of found.chunks) {
      sha256.update(chunk);
      sha512.update(chunk);
      sizeBytes += chunk.length;
    }
    return {
      sha256: sha256.digest("hex") as Sha256,
      sha512: sha512.digest("hex"),
      sizeBytes,
    };
  }

  async #isLatestSound(
    channel: string,
    { name, sha512 }: LatestFile,
  ): Promise<boolean> {
    const present = await this.digests(latestPath(channel, name));
    return present?.sha512 === sha512;
  }

  async #copyLatest(
    channel: string,
    { name, target }: LatestFile,
  ): Promise<void> {
    const path = latestPath(channel, name);
    const source = posix.join(latestLink(channel), target);
    const [from, to] = [this.#key(source), this.#key(path)];
    const headers = { ...headersOf(path), cacheControl: shortCacheControl };
    if (await this.#objects.copy(from, to, headers)) return;
    throw new StoreError(
      `${this.addressOf(source)} is missing, and ${path} cannot be made without it. Refresh the stack and run \`pulumi up\`, which publishes it again.`,
    );
  }

  /** Everything in `latest`. */
  async #latestPaths(channel: string): Promise<string[]> {
    const keys = await this.#objects.list(this.#key(`${latestLink(channel)}/`));
    return keys.map((key) => key.slice(this.#prefix.length));
  }

  /** Those that this program put there. */
  async #own(paths: readonly string[]): Promise<string[]> {
    const own = await pLimit(concurrentRequests).map(paths, async (path) => {
      const head = await this.#objects.head(this.#key(path));
      return head?.metadata.generator === generator ? [path] : [];
    });
    return own.flat();
  }
}

function latestPath(channel: string, name: string): string {
  return `${latestLink(channel)}/${name}`;
}

/** The paths in `latest` that are neither of those files nor of their checksums. */
function withoutThose(
  paths: readonly string[],
  channel: string,
  files: readonly LatestFile[],
): string[] {
  const names = [sumsFileName, ...files.map(({ name }) => name)];
  const known = new Set(names.map((name) => latestPath(channel, name)));
  return paths.filter((path) => !known.has(path));
}

function headersOf(path: string) {
  const isLasting = formatOf(path) !== undefined;
  return {
    contentType: mediaTypeOf(path),
    cacheControl: isLasting ? lastingCacheControl : shortCacheControl,
  };
}

/** The digests that an object carries, while S3 has the bytes that were sent with them. */
function digestsIn({
  metadata,
  checksum,
  sizeBytes,
}: ObjectHead): FileDigests | undefined {
  const { sha256, sha512 } = metadata;
  if (sha256 === undefined || sha512 === undefined) return undefined;
  // Some copies are in one part, whatever the original was.
  const whole = Buffer.from(sha256, "hex").toString("base64");
  const isAsSent =
    checksum !== undefined &&
    metadata.bytes === String(sizeBytes) &&
    (checksum === metadata.checksum || checksum === whole);
  return isAsSent ? { sha256: sha256 as Sha256, sha512, sizeBytes } : undefined;
}
