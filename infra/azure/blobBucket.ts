/** The blobs of a container: what a store does with them. */

import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type {
  BlobDownloadResponseParsed,
  BlobRequestConditions,
  BlockBlobClient,
  ContainerClient,
} from "@azure/storage-blob";
import pLimit from "p-limit";
import { StoreError } from "../errors.ts";
import type {
  Bucket,
  ObjectHead,
  ObjectHeaders,
  OpenObject,
  WriteCondition,
} from "../store/bucket.ts";
import { type ObjectBody, unbroken, wholeOf } from "../store/objectReading.ts";
import { hasFile, requireFile } from "../store/objectUpload.ts";
import { type BlobAccess, containerUrl } from "./access.ts";
import { containerClient, type Retries } from "./clients.ts";
import { azureCode, failureKind, reasonAndCure } from "./failures.ts";

const mebibyte = 1024 * 1024;

/** A block, and what is sent in one request at most: small enough to hold four in memory. */
const smallestBlockBytes = 8 * mebibyte;
/** Blocks that one blob may have (Azure: scalability and performance targets for Blob storage). */
const mostBlocks = 50_000;
const concurrentBlocks = 4;

/** One request of a read; a body that breaks off is asked for again by {@link unbroken}. */
const oneBody = { maxRetryRequests: 0 };

/** Bytes of a block of a file of that size. Pure. */
export function blockBytesOf(sizeBytes: number): number {
  const needed = Math.ceil(sizeBytes / mostBlocks / mebibyte) * mebibyte;
  return Math.max(smallestBlockBytes, needed);
}

/** A container of Azure's blobs. */
export class BlobBucket implements Bucket {
  readonly #access: BlobAccess;
  readonly #container: ContainerClient;

  private constructor(access: BlobAccess, container: ContainerClient) {
    this.#access = access;
    this.#container = container;
  }

  /** @throws {UserError} when the environment does not have the secret that the settings name. */
  static async open(
    access: BlobAccess,
    retries?: Retries,
  ): Promise<BlobBucket> {
    return new BlobBucket(access, await containerClient(access, retries));
  }

  addressOf(key: string): string {
    return `${containerUrl(this.#access)}/${key}`;
  }

  head(key: string): Promise<ObjectHead | undefined> {
    return this.#orMissing("look at", key, async () => {
      const found = await this.#blob(key).getProperties();
      return {
        etag: found.etag ?? "",
        sizeBytes: found.contentLength ?? 0,
        metadata: found.metadata ?? {},
        checksum: found.contentMD5 && base64(found.contentMD5),
      };
    });
  }

  open(key: string): Promise<OpenObject | undefined> {
    return this.#orMissing("read", key, async () => {
      const first = await this.#blob(key).download(0, undefined, oneBody);
      const etag = first.etag ?? "";
      return { etag, chunks: this.#chunks(key, first, etag) };
    });
  }

  async read(key: string) {
    const found = await this.open(key);
    return found && wholeOf(found);
  }

  async write(
    key: string,
    bytes: string | Uint8Array,
    headers: ObjectHeaders = {},
    condition?: WriteCondition,
  ): Promise<string | undefined> {
    try {
      return await this.#put(key, Buffer.from(bytes), headers, condition);
    } catch (error) {
      if (condition !== undefined && isConditionFailed(error)) return undefined;
      throw this.#failure("write", key, error);
    }
  }

  /** The MD5 of its bytes, in base64. Azure computes it of what comes in one request, and keeps what it is told of blocks. */
  async checksumOf(path: string): Promise<string> {
    await using file = await open(path, "r");
    const hash = createHash("md5");
    for await (const chunk of file.readableWebStream({ autoClose: false })) {
      hash.update(chunk);
    }
    return hash.digest("base64");
  }

  async upload(
    key: string,
    path: string,
    checksum: string,
    headers: ObjectHeaders = {},
    condition?: WriteCondition,
  ): Promise<boolean> {
    await using file = await open(path, "r");
    const sizeBytes = (await file.stat()).size;
    const sent = { key, sizeBytes, checksum };
    try {
      if (sizeBytes <= blockBytesOf(sizeBytes)) {
        const bytes = await bytesAt(file, 0, sizeBytes);
        await this.#put(key, bytes, headers, condition);
      } else {
        const ids = await this.#stage(key, file, sizeBytes);
        await this.#blob(key).commitBlockList(ids, {
          ...settingsFor(headers, condition, Buffer.from(checksum, "base64")),
        });
      }
    } catch (error) {
      if (condition === undefined || !isConditionFailed(error)) {
        throw this.#failure("write", key, error);
      }
      // One whose answer got lost is sent again, and fails.
      return hasFile(this, sent);
    }
    await requireFile(this, sent);
    return true;
  }

  async remove(key: string, etag?: string): Promise<void> {
    try {
      const conditions = etag === undefined ? {} : { ifMatch: etag };
      await this.#blob(key).delete({ conditions });
    } catch (error) {
      if (failureKind(error) === "missing") return;
      if (etag !== undefined && isConditionFailed(error)) return;
      throw this.#failure("remove", key, error);
    }
  }

  async list(prefix: string): Promise<string[]> {
    try {
      const keys: string[] = [];
      for await (const { name } of this.#container.listBlobsFlat({ prefix })) {
        keys.push(name);
      }
      return keys;
    } catch (error) {
      throw this.#failure("list", prefix, error);
    }
  }

  /** Blocks that no list names go with the next one, or after a week. */
  async abortUploads(): Promise<void> {}

  /** One request, of which Azure compares the MD5. @returns the ETag */
  async #put(
    key: string,
    bytes: Buffer,
    headers: ObjectHeaders,
    condition: WriteCondition | undefined,
  ): Promise<string> {
    const digest = md5(bytes);
    const { etag } = await this.#blob(key).upload(bytes, bytes.length, {
      ...settingsFor(headers, condition, digest),
      transactionalContentMD5: digest,
    });
    return etag ?? "";
  }

  /** Sends a file's blocks. @returns their ids, in order, for the list that makes them a blob */
  async #stage(
    key: string,
    file: FileHandle,
    sizeBytes: number,
  ): Promise<string[]> {
    const blob = this.#blob(key);
    const blockBytes = blockBytesOf(sizeBytes);
    const starts = Array.from(
      { length: Math.ceil(sizeBytes / blockBytes) },
      (_, index) => index * blockBytes,
    );
    const stopped = new AbortController();
    try {
      return await pLimit(concurrentBlocks).map(
        starts,
        async (start, index) => {
          stopped.signal.throwIfAborted();
          const length = Math.min(blockBytes, sizeBytes - start);
          const bytes = await bytesAt(file, start, length);
          const digest = md5(bytes);
          // Those of another file are called otherwise, though it is sent at the same time. All ids have one length.
          const id = Buffer.concat([Buffer.from([0, 0, 0, 0]), digest]);
          id.writeUInt32BE(index);
          const { contentMD5 } = await blob.stageBlock(
            base64(id),
            bytes,
            length,
            {
              transactionalContentMD5: digest,
              abortSignal: stopped.signal,
            },
          );
          if (contentMD5 !== undefined && !digest.equals(contentMD5)) {
            throw new StoreError(
              `${this.addressOf(key)} was not written, as its server has other bytes than were sent. Run again; if it happens again, look at what is between this machine and Azure.`,
            );
          }
          return base64(id);
        },
      );
    } catch (error) {
      // Nobody waits for the others, and the file is about to be closed.
      stopped.abort();
      throw error;
    }
  }

  async *#chunks(
    key: string,
    first: BlobDownloadResponseParsed,
    etag: string,
  ): AsyncGenerator<Uint8Array> {
    const body = ({ readableStreamBody }: BlobDownloadResponseParsed) =>
      readableStreamBody as unknown as ObjectBody;
    try {
      yield* unbroken(body(first), first.contentLength ?? 0, async (position) =>
        body(
          await this.#blob(key).download(position, undefined, {
            ...oneBody,
            conditions: { ifMatch: etag },
          }),
        ),
      );
    } catch (error) {
      throw this.#failure("read", key, error);
    }
  }

  async #orMissing<T>(
    attempt: string,
    key: string,
    request: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await request();
    } catch (error) {
      if (failureKind(error) === "missing") return undefined;
      throw this.#failure(attempt, key, error);
    }
  }

  #blob(key: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(key);
  }

  /** The SDK's own error is not kept as the cause: it may quote a request with its signature. */
  #failure(attempt: string, key: string, error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    return new StoreError(
      `It was not possible to ${attempt} ${this.addressOf(key)}: ${reasonAndCure(this.#access, error)}`,
    );
  }
}

function settingsFor(
  { metadata, contentType, cacheControl }: ObjectHeaders,
  condition: WriteCondition | undefined,
  blobContentMD5: Uint8Array,
) {
  return {
    blobHTTPHeaders: {
      blobContentMD5,
      ...(contentType === undefined ? {} : { blobContentType: contentType }),
      ...(cacheControl === undefined ? {} : { blobCacheControl: cacheControl }),
    },
    ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
    conditions: conditionsFor(condition),
  };
}

function conditionsFor(
  condition: WriteCondition | undefined,
): BlobRequestConditions {
  if (condition === undefined) return {};
  return condition === "absent"
    ? { ifNoneMatch: "*" }
    : { ifMatch: condition.etag };
}

/**
 * Azure answers 409 where a blob is that should not be, and 412 where another is, or none
 * (https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations).
 */
function isConditionFailed(error: unknown): boolean {
  return (
    failureKind(error) === "missing" ||
    ["BlobAlreadyExists", "ConditionNotMet"].includes(azureCode(error))
  );
}

async function bytesAt(
  file: FileHandle,
  start: number,
  length: number,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  const { bytesRead } = await file.read(bytes, 0, length, start);
  return bytes.subarray(0, bytesRead);
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
