/** The objects of a bucket of Cloud Storage: what a store does with them. */

import { readFile, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import {
  CRC32C,
  type File,
  type FileMetadata,
  type Bucket as GoogleBucket,
} from "@google-cloud/storage";
import type { StoreError } from "../errors.ts";
import type {
  Bucket,
  ObjectHead,
  ObjectHeaders,
  OpenObject,
  WriteCondition,
} from "../store/bucket.ts";
import { type ObjectBody, unbroken, wholeOf } from "../store/objectReading.ts";
import { hasFile, requireFile } from "../store/objectUpload.ts";
import type { GcsPlace } from "./bucketAddress.ts";
import { bucketFailure, isNoObject } from "./bucketFailure.ts";
import { type StorageRetries, storageClient } from "./clients.ts";
import { googleStatus } from "./failures.ts";
import { sendResumably } from "./resumableUpload.ts";

const mebibyte = 1024 * 1024;

/** What is sent in one request, as it would be in one piece. */
const smallFileBytes = 8 * mebibyte;

/** The pauses are 2, 4, 8, 16 and 32 seconds, and what is left of the total: whoever previews waits for it. */
const usualRetries: StorageRetries = {
  maxRetries: 6,
  totalTimeoutSeconds: 90,
  // Longer than a bucket takes over anything, and short enough to ask again.
  silenceSeconds: 40,
};

/** Which bucket, and how it is reached. */
export type BucketAccess = Omit<GcsPlace, "prefix">;

/** The beginning of an answer to a read. */
interface MediaAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** A bucket of Cloud Storage. ETags are the generations of its objects. */
export class CloudStorageBucket implements Bucket {
  readonly #access: BucketAccess;
  readonly #bucket: GoogleBucket;
  readonly #retries: StorageRetries;

  private constructor(
    access: BucketAccess,
    bucket: GoogleBucket,
    retries: StorageRetries,
  ) {
    this.#access = access;
    this.#bucket = bucket;
    this.#retries = retries;
  }

  /** @throws {StoreError} when there are no credentials at all. */
  static async open(
    access: BucketAccess,
    retries = usualRetries,
  ): Promise<CloudStorageBucket> {
    try {
      const client = await storageClient(access, retries);
      const bucket = client.bucket(access.bucket);
      return new CloudStorageBucket(access, bucket, retries);
    } catch (error) {
      throw bucketFailure(`reach gs://${access.bucket}`, access, error);
    }
  }

  addressOf(key: string): string {
    return `gs://${this.#access.bucket}/${key}`;
  }

  head(key: string): Promise<ObjectHead | undefined> {
    return this.#orMissing("look at", key, async () => {
      const [found] = await this.#bucket.file(key).getMetadata();
      return {
        etag: String(found.generation),
        sizeBytes: Number(found.size),
        metadata: textsIn(found),
        checksum: found.crc32c,
      };
    });
  }

  open(key: string): Promise<OpenObject | undefined> {
    return this.#orMissing("read", key, async () => {
      const { body, headers } = await readFrom(this.#bucket.file(key), 0);
      const etag = headers["x-goog-generation"];
      const size = headers["x-goog-stored-content-length"];
      if (etag === undefined || size === undefined) {
        throw new Error("The answer does not say which object it is.");
      }
      return { etag, chunks: this.#chunks(key, body, etag, Number(size)) };
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
    const checksum = new CRC32C();
    checksum.update(Buffer.from(bytes));
    const file = this.#bucket.file(key);
    try {
      await file.save(Buffer.from(bytes), {
        ...settingsFor(headers, condition, checksum.toString()),
        resumable: false,
      });
      return String(file.metadata.generation);
    } catch (error) {
      if (condition !== undefined && isConditionFailed(error)) return undefined;
      throw this.#failure("write", key, error);
    }
  }

  /** The CRC32C of its bytes, in base64. */
  async checksumOf(path: string): Promise<string> {
    return (await CRC32C.fromFile(path)).toString();
  }

  async upload(
    key: string,
    path: string,
    checksum: string,
    headers: ObjectHeaders = {},
    condition?: WriteCondition,
  ): Promise<boolean> {
    const sizeBytes = (await stat(path)).size;
    const sent = { key, sizeBytes, checksum };
    try {
      const file = this.#bucket.file(key);
      const settings = settingsFor(headers, condition, checksum);
      if (sizeBytes > smallFileBytes) {
        await sendResumably(file, path, settings, this.#retries);
      } else {
        // The library does not repeat what came from a stream.
        await file.save(await readFile(path), {
          ...settings,
          resumable: false,
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
      await this.#bucket
        .file(key)
        .delete(etag === undefined ? {} : { ifGenerationMatch: etag });
    } catch (error) {
      if (isNoObject(error)) return;
      if (etag !== undefined && isConditionFailed(error)) return;
      throw this.#failure("remove", key, error);
    }
  }

  async list(prefix: string): Promise<string[]> {
    try {
      const fields = "items(name),nextPageToken";
      const [files] = await this.#bucket.getFiles({ prefix, fields });
      return files.map(({ name }) => name);
    } catch (error) {
      throw this.#failure("list", prefix, error);
    }
  }

  /** Uploads that were not brought to an end are nowhere to be seen, and end after a week. */
  async abortUploads(): Promise<void> {}

  async *#chunks(
    key: string,
    first: ObjectBody,
    generation: string,
    sizeBytes: number,
  ): AsyncGenerator<Uint8Array> {
    const same = this.#bucket.file(key, { generation });
    try {
      yield* unbroken(first, sizeBytes, async (position) => {
        return (await readFrom(same, position)).body;
      });
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
      if (isNoObject(error)) return undefined;
      throw this.#failure(attempt, key, error);
    }
  }

  #failure(attempt: string, key: string, error: unknown): StoreError {
    return bucketFailure(
      `${attempt} ${this.addressOf(key)}`,
      this.#access,
      error,
    );
  }
}

/** Begins to read an object behind a position; its checksum is for whoever has all of it. */
async function readFrom(
  file: File,
  position: number,
): Promise<{
  readonly body: ObjectBody;
  readonly headers: MediaAnswer["headers"];
}> {
  const stream: Readable = file.createReadStream({
    validation: false,
    decompress: false,
    ...(position === 0 ? {} : { start: position }),
  });
  const headers = new Promise<MediaAnswer["headers"]>((resolve, reject) => {
    stream.on("error", reject);
    stream.on("response", ({ statusCode, headers }: MediaAnswer) => {
      // The failure of any other comes with its text.
      if (statusCode < 300) resolve(headers);
    });
  });
  // Asks for it.
  stream.read(0);
  return { headers: await headers, body: stream };
}

function textsIn({ metadata = {} }: FileMetadata): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name, String(value)]),
  );
}

/** Cloud Storage takes nothing that does not have that checksum. */
function settingsFor(
  { metadata, contentType, cacheControl }: ObjectHeaders,
  condition: WriteCondition | undefined,
  crc32c: string,
) {
  return {
    validation: false,
    metadata: {
      crc32c,
      contentType: contentType ?? "application/octet-stream",
      ...(cacheControl === undefined ? {} : { cacheControl }),
      ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
    },
    ...(condition === undefined
      ? {}
      : {
          preconditionOpts: {
            ifGenerationMatch: condition === "absent" ? 0 : condition.etag,
          },
        }),
  };
}

/** Cloud Storage answers 412 when another object is there, or none, and 404 when there is nothing to remove. */
function isConditionFailed(error: unknown): boolean {
  return googleStatus(error) === 412 || isNoObject(error);
}
