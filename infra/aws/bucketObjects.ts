/** The objects of a bucket: what the store and the published tree do with them. Every failure is a StoreError. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import pLimit from "p-limit";
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
import { s3Client } from "./clients.ts";
import { type BucketAccess, s3Code, s3Failure, s3Status } from "./s3Failure.ts";

const mebibyte = 1024 * 1024;

/** A part: well above the 5 MiB that S3 asks for at least, and small enough to hold four in memory. */
const smallestPartBytes = 8 * mebibyte;
/** Parts that one upload may have (Amazon S3 multipart upload limits). */
const mostParts = 10_000;
const concurrentParts = 4;
/** Nothing but requests goes over the network. */
const concurrentCopies = 8;

const firstByte = { Range: "bytes=0-0" };

/** Bytes of a part of a file of that size: files of many GiB have larger parts. Pure. */
export function partBytesOf(sizeBytes: number): number {
  const needed = Math.ceil(sizeBytes / mostParts / mebibyte) * mebibyte;
  return Math.max(smallestPartBytes, needed);
}

/**
 * The checksum that S3 keeps of a file that {@link BucketObjects.upload} sends, in base64: the sha256 of its bytes, or,
 * of one in several parts, the sha256 of the parts' sha256s (S3 knows no sha256 of the whole then).
 *
 * @throws the operating system's error when it cannot be read.
 */
export async function checksumOfFile(path: string): Promise<string> {
  await using file = await open(path, "r");
  const partBytes = partBytesOf((await file.stat()).size);
  const buffer = Buffer.allocUnsafe(mebibyte);
  const parts: Buffer[] = [];
  for (;;) {
    const hash = createHash("sha256");
    let filled = 0;
    while (filled < partBytes) {
      const { bytesRead } = await file.read(buffer, 0, mebibyte, null);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      filled += bytesRead;
    }
    if (filled > 0 || parts.length === 0) parts.push(hash.digest());
    if (filled < partBytes) break;
  }
  const [first] = parts;
  if (parts.length === 1 && first !== undefined)
    return first.toString("base64");
  return createHash("sha256").update(Buffer.concat(parts)).digest("base64");
}

/** A bucket of S3. */
export class BucketObjects implements Bucket {
  readonly checksumOf = checksumOfFile;
  readonly #access: BucketAccess;
  readonly #client: S3Client;
  /** Goes with every request. S3 refuses a bucket of another account than the one that is configured. */
  readonly #bucket: { Bucket: string; ExpectedBucketOwner?: string };

  constructor(access: BucketAccess) {
    this.#access = access;
    this.#client = s3Client(access);
    this.#bucket = {
      Bucket: access.bucket,
      ...(access.account === undefined
        ? {}
        : { ExpectedBucketOwner: access.account }),
    };
  }

  /** What S3 says of an object, or `undefined` where there is none. */
  head(key: string): Promise<ObjectHead | undefined> {
    return this.#orMissing("look at", key, async () => {
      const request = { ...this.#bucket, Key: key };
      const found = await this.#client
        .send(new HeadObjectCommand({ ...request, ChecksumMode: "ENABLED" }))
        .catch(async (error) => {
          // The answer to HEAD has no body, and so no code: GET says what is wrong, if only that it is missing.
          if ((s3Status(error) ?? 500) < 500) await this.#get(key, firstByte);
          throw error;
        });
      return {
        etag: found.ETag ?? "",
        sizeBytes: found.ContentLength ?? 0,
        metadata: found.Metadata ?? {},
        // Of several parts it ends in their number.
        checksum: found.ChecksumSHA256?.replace(/-\d+$/, ""),
      };
    });
  }

  /** Begins to read an object, or `undefined` where there is none. A connection that is cut is made again. */
  open(key: string): Promise<OpenObject | undefined> {
    return this.#orMissing("read", key, async () => {
      const first = await this.#get(key);
      const etag = first.ETag ?? "";
      return { etag, chunks: this.#chunks(key, first, etag) };
    });
  }

  /** All of a small object, or `undefined` where there is none. */
  async read(
    key: string,
  ): Promise<{ etag: string; bytes: Uint8Array } | undefined> {
    const found = await this.open(key);
    return found && wholeOf(found);
  }

  /**
   * Writes a small object in one step.
   *
   * @returns its ETag, or `undefined` when the condition does not hold
   */
  async write(
    key: string,
    bytes: string | Uint8Array,
    headers: ObjectHeaders = {},
    condition?: WriteCondition,
  ): Promise<string | undefined> {
    try {
      const { ETag } = await this.#client.send(
        new PutObjectCommand({
          ...this.#bucket,
          ...parametersOf(headers),
          Key: key,
          Body: bytes,
          // Without it the SDK warns of a body without bytes.
          ContentLength: Buffer.byteLength(bytes),
          ChecksumAlgorithm: "SHA256",
          ...parametersFor(condition),
        }),
      );
      return ETag ?? "";
    } catch (error) {
      if (condition !== undefined && isConditionFailed(error)) return undefined;
      throw this.#failure("write", key, error);
    }
  }

  /**
   * Sends a file, in parts when it is large: S3 compares the sha256 of each with what arrived, and the object is there in
   * whole or not at all. What S3 says of it afterwards is compared once more.
   *
   * @param checksum of the file, by {@link checksumOfFile}
   * @returns whether the condition held
   * @throws {StoreError} also when S3 has other bytes than were sent.
   */
  async upload(
    key: string,
    path: string,
    checksum: string,
    headers: ObjectHeaders = {},
    condition?: WriteCondition,
  ): Promise<boolean> {
    const { size } = await stat(path);
    const sent = { key, sizeBytes: size, checksum };
    try {
      await new Upload({
        client: this.#client,
        partSize: partBytesOf(size),
        queueSize: concurrentParts,
        params: {
          ...this.#bucket,
          ...parametersOf(headers),
          ...parametersFor(condition),
          Key: key,
          Body: createReadStream(path, { highWaterMark: mebibyte }),
          ChecksumAlgorithm: "SHA256",
        },
      }).done();
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

  /**
   * Gives an object a second name, without sending it: in the same parts, so that its checksum is the same.
   *
   * @param headers in place of the original's; its metadata is kept
   * @returns whether there is an original
   */
  async copy(
    from: string,
    to: string,
    headers: Omit<ObjectHeaders, "metadata"> = {},
  ): Promise<boolean> {
    const head = await this.head(from);
    if (head === undefined) return false;
    const { metadata, sizeBytes } = head;
    const target = {
      ...this.#bucket,
      ...parametersOf({ ...headers, metadata }),
      Key: to,
      ChecksumAlgorithm: "SHA256",
    } as const;
    const steps = from.split("/").map(encodeURIComponent);
    const source = {
      CopySource: `${this.#access.bucket}/${steps.join("/")}`,
      CopySourceIfMatch: head.etag,
    };
    try {
      const partBytes = partBytesOf(sizeBytes);
      if (sizeBytes <= partBytes) {
        const request = { ...target, ...source };
        await this.#client.send(
          new CopyObjectCommand({ ...request, MetadataDirective: "REPLACE" }),
        );
      } else await this.#copyParts(target, source, sizeBytes, partBytes);
    } catch (error) {
      throw this.#failure("write", to, error);
    }
    return true;
  }

  async #copyParts(
    target: CreateMultipartUploadCommandInput,
    source: { readonly CopySource: string; readonly CopySourceIfMatch: string },
    sizeBytes: number,
    partBytes: number,
  ): Promise<void> {
    // One that a killed run began.
    await this.abortUploads(target.Key ?? "");
    const { UploadId } = await this.#client.send(
      new CreateMultipartUploadCommand(target),
    );
    const upload = { ...this.#bucket, Key: target.Key, UploadId };
    const starts = Array.from(
      { length: Math.ceil(sizeBytes / partBytes) },
      (_, index) => index * partBytes,
    );
    try {
      const limit = pLimit(concurrentCopies);
      const Parts = await limit.map(starts, async (start, index) => {
        const end = Math.min(start + partBytes, sizeBytes) - 1;
        const PartNumber = index + 1;
        const { CopyPartResult } = await this.#client.send(
          new UploadPartCopyCommand({
            ...{ ...upload, ...source, PartNumber },
            CopySourceRange: `bytes=${start}-${end}`,
          }),
        );
        const { ETag, ChecksumSHA256 } = CopyPartResult ?? {};
        return {
          ...{ PartNumber, ETag },
          ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }),
        };
      });
      await this.#client.send(
        new CompleteMultipartUploadCommand({
          ...upload,
          MultipartUpload: { Parts },
        }),
      );
    } catch (error) {
      await this.abortUploads(upload.Key ?? "");
      throw error;
    }
  }

  /**
   * Removes an object; one that is not there is no error.
   *
   * @param etag only while it is that one: whether another is there then is not said
   */
  async remove(key: string, etag?: string): Promise<void> {
    try {
      await this.#client.send(
        new DeleteObjectCommand({
          ...this.#bucket,
          Key: key,
          ...(etag === undefined ? {} : { IfMatch: etag }),
        }),
      );
    } catch (error) {
      if (etag !== undefined && isConditionFailed(error)) return;
      // Servers other than S3 say so; S3 does not.
      if (s3Code(error) === "NoSuchKey") return;
      throw this.#failure("remove", key, error);
    }
  }

  /** Keys of all objects that begin so, in S3's order: one request for each thousand. */
  async list(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      try {
        const page = await this.#client.send(
          new ListObjectsV2Command({
            ...this.#bucket,
            Prefix: prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        );
        keys.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
        token = page.NextContinuationToken;
      } catch (error) {
        throw this.#failure("list", prefix, error);
      }
    } while (token !== undefined);
    return keys;
  }

  /** Ends uploads of an object that were not brought to an end, and frees what they hold. */
  async abortUploads(key: string): Promise<void> {
    try {
      // One object has few of them: a page has a thousand.
      const { Uploads = [] } = await this.#client.send(
        new ListMultipartUploadsCommand({ ...this.#bucket, Prefix: key }),
      );
      for (const { Key, UploadId } of Uploads) {
        if (Key !== key) continue;
        await this.#client.send(
          new AbortMultipartUploadCommand({ ...this.#bucket, Key, UploadId }),
        );
      }
    } catch (error) {
      throw this.#failure("end the unfinished uploads of", key, error);
    }
  }

  /** An object as people write it. */
  addressOf(key: string): string {
    return `s3://${this.#access.bucket}/${key}`;
  }

  async #orMissing<T>(
    attempt: string,
    key: string,
    request: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await request();
    } catch (error) {
      if (s3Status(error) === 404 && s3Code(error) !== "NoSuchBucket") {
        return undefined;
      }
      throw this.#failure(attempt, key, error);
    }
  }

  #get(
    key: string,
    range?: { readonly Range: string; readonly IfMatch?: string },
  ): Promise<GetObjectCommandOutput> {
    return this.#client.send(
      new GetObjectCommand({ ...this.#bucket, Key: key, ...range }),
    );
  }

  async *#chunks(
    key: string,
    first: GetObjectCommandOutput,
    etag: string,
  ): AsyncGenerator<Uint8Array> {
    const body = ({ Body }: GetObjectCommandOutput) => Body as ObjectBody;
    try {
      yield* unbroken(body(first), first.ContentLength ?? 0, async (position) =>
        body(
          await this.#get(key, { Range: `bytes=${position}-`, IfMatch: etag }),
        ),
      );
    } catch (error) {
      throw this.#failure("read", key, error);
    }
  }

  #failure(attempt: string, key: string, error: unknown): StoreError {
    return s3Failure(`${attempt} ${this.addressOf(key)}`, this.#access, error);
  }
}

function parametersOf(headers: ObjectHeaders) {
  const { metadata, contentType, cacheControl } = headers;
  return {
    ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
    ...(contentType === undefined ? {} : { ContentType: contentType }),
    ...(cacheControl === undefined ? {} : { CacheControl: cacheControl }),
  };
}

function parametersFor(condition: WriteCondition | undefined) {
  if (condition === undefined) return {};
  return condition === "absent"
    ? { IfNoneMatch: "*" }
    : { IfMatch: condition.etag };
}

/**
 * S3 answers 412 when the condition does not hold, 404 when there is nothing that could match, and 409 when another write
 * came first (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
 */
function isConditionFailed(error: unknown): boolean {
  const code = s3Code(error);
  return (
    s3Status(error) === 412 ||
    code === "NoSuchKey" ||
    code === "ConditionalRequestConflict"
  );
}
