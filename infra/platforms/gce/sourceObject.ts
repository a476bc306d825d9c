/** The object in a bucket that an image is made from: it is there for as long as that takes. */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { CRC32C, type File, type FileMetadata } from "@google-cloud/storage";
import { UserError, WrongCopyError } from "../../errors.ts";
import type { GoogleAccess } from "../../google/access.ts";
import {
  type StorageRetries,
  storageClient,
  usualRetries,
} from "../../google/clients.ts";
import {
  failureKind,
  googleFailure,
  googleStatus,
} from "../../google/failures.ts";
import { sendResumably } from "../../google/resumableUpload.ts";
import { inTurn, watched } from "../uploads.ts";

/** What Cloud Storage says of an object. */
export interface ObjectFacts {
  /** Another one whenever its content is written. */
  readonly generation: string;
  /** Of its bytes, as the service computed it: base64 of four bytes. */
  readonly crc32c: string;
  readonly sizeBytes: number;
  /** Texts that were given to it. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a file's bytes add up to. */
export interface SourceDigests {
  /** Hex. */
  readonly sha256: string;
  /** As in {@link ObjectFacts}. */
  readonly crc32c: string;
  /** Base64, as Cloud Storage has it. */
  readonly md5: string;
  readonly sizeBytes: number;
}

const mebibyte = 1024 ** 2;

/** Reads a file once, in pieces. */
export async function digestsOfSource(path: string): Promise<SourceDigests> {
  const sha256 = createHash("sha256");
  const md5 = createHash("md5");
  const crc32c = new CRC32C();
  let sizeBytes = 0;
  await using file = await open(path, "r");
  const buffer = Buffer.allocUnsafe(mebibyte);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, mebibyte, null);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    sha256.update(piece);
    md5.update(piece);
    crc32c.update(piece);
    sizeBytes += bytesRead;
  }
  return {
    sha256: sha256.digest("hex"),
    md5: md5.digest("base64"),
    crc32c: crc32c.toString(),
    sizeBytes,
  };
}

/** One object, which may not be there. */
export class SourceObject {
  /** As Compute Engine is told of it. */
  readonly url: string;
  readonly name: string;
  readonly #bucket: string;
  readonly #connect: () => Promise<File>;
  readonly #retries: StorageRetries;
  #file: File;

  private constructor(
    bucket: string,
    file: File,
    connect: () => Promise<File>,
    retries: StorageRetries,
  ) {
    this.name = file.name;
    this.url = `https://storage.googleapis.com/${bucket}/${file.name}`;
    this.#bucket = bucket;
    this.#file = file;
    this.#connect = connect;
    this.#retries = retries;
  }

  /** @throws {UserError} when there are no credentials. */
  static async open(
    access: GoogleAccess,
    bucket: string,
    name: string,
    retries = usualRetries,
  ): Promise<SourceObject> {
    const connect = async () =>
      (await storageClient(access, retries)).bucket(bucket).file(name);
    const file = await connect().catch((error) => {
      throw googleFailure("let anybody in", `the bucket ${bucket}`, error);
    });
    return new SourceObject(bucket, file, connect, retries);
  }

  /** What is there now. */
  async find(): Promise<ObjectFacts | undefined> {
    try {
      const [metadata] = await this.#asking((file) => file.getMetadata());
      return factsOf(metadata);
    } catch (error) {
      if (googleStatus(error) === 404) return undefined;
      throw this.#failure(`look at the object ${this.name}`, error);
    }
  }

  /**
   * Sends a file where there is no object yet. A connection that breaks is taken up where the service has come to.
   *
   * @param atOnce how many files may be sent at the same time, wherever they go
   * @returns `undefined` when somebody made one meanwhile
   * @throws {UserError} when there is no bucket, or it may not be written.
   * @throws {WrongCopyError} when the service has got other bytes than were sent.
   */
  async upload(
    path: string,
    digests: SourceDigests,
    metadata: Readonly<Record<string, string>>,
    atOnce: number,
  ): Promise<ObjectFacts | undefined> {
    try {
      const settings = {
        // The service compares what it has got with what is said here, before there is an object.
        metadata: {
          contentType: "application/gzip",
          ...{ crc32c: digests.crc32c, md5Hash: digests.md5 },
          metadata: { ...metadata },
        },
        preconditionOpts: { ifGenerationMatch: 0 },
      };
      await this.#asking((file) =>
        sendResumably(file, path, settings, this.#retries, (pieces, send) =>
          inTurn(atOnce, (turn) => send(watched(pieces, turn))),
        ),
      );
    } catch (error) {
      if (googleStatus(error) === 412) return undefined;
      if (googleStatus(error) === 404) {
        throw new UserError(
          `There is no bucket ${this.#bucket}, or these credentials may not see it. Make it, or correct the target's bucket. Nothing was uploaded.`,
          { cause: error },
        );
      }
      throw this.#failure(`take the object ${this.name}`, error);
    }
    const facts = await this.find();
    if (facts === undefined || isOf(facts, digests)) return facts;
    await this.remove(facts.generation);
    throw new WrongCopyError(
      `The object ${this.name} in the bucket ${this.#bucket} is not what was sent: its CRC32C is ${facts.crc32c} instead of ${digests.crc32c}. It was removed. Run again.`,
    );
  }

  /** Removes the object of that generation; one that is gone, or was replaced, is no error. */
  async remove(generation: string): Promise<void> {
    try {
      await this.#asking((file) =>
        file.delete({ ifGenerationMatch: generation }),
      );
    } catch (error) {
      if ([404, 412].includes(googleStatus(error) ?? 0)) return;
      throw this.#failure(`remove the object ${this.name}`, error);
    }
  }

  /** A token that was taken back before its time, in mid-upload for one, is fetched anew; then it begins again. */
  async #asking<T>(ask: (file: File) => Promise<T>): Promise<T> {
    try {
      return await ask(this.#file);
    } catch (error) {
      if (failureKind(error) !== "expired") throw error;
      this.#file = await this.#connect();
      return await ask(this.#file);
    }
  }

  #failure(task: string, error: unknown): Error {
    return googleFailure(task, `the bucket ${this.#bucket}`, error);
  }
}

/** Whether an object has a file's bytes. */
export function isOf(facts: ObjectFacts, digests: SourceDigests): boolean {
  return (
    facts.crc32c === digests.crc32c && facts.sizeBytes === digests.sizeBytes
  );
}

function factsOf(object: FileMetadata): ObjectFacts {
  const { generation, crc32c, size, metadata } = object;
  return {
    generation: String(generation),
    crc32c: crc32c ?? "",
    sizeBytes: Number(size),
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, value]) => [
        name,
        String(value),
      ]),
    ),
  };
}
