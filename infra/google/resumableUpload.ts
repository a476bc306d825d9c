/**
 * Files on their way to Cloud Storage, piece by piece: https://docs.cloud.google.com/storage/docs/performing-resumable-uploads
 *
 * The library begins them and does not send them: it counts its patience from an upload's beginning, so that one which
 * takes longer than that begins anew after its first bad minute.
 */

import { type FileHandle, open, stat } from "node:fs/promises";
import type { CreateResumableUploadOptions, File } from "@google-cloud/storage";
import { gaxios } from "google-auth-library";
import pRetry from "p-retry";
import type { StorageRetries } from "./clients.ts";
import { failureKind, GoogleError, googleStatus } from "./failures.ts";

const mebibyte = 1024 ** 2;

/**
 * Sent in one request, and kept until the service has it, which is all that is in memory: a multiple of 256 KiB, and
 * better 8 MiB or more.
 */
const pieceBytes = 8 * mebibyte;

/** Between the first two attempts at a piece; each further pause is twice as long, to some length. */
const firstPauseMilliseconds = 1000;
const longestPauseMilliseconds = 32_000;

/** How often a file is begun when the service knows nothing of its upload any more, which happens. */
const beginnings = 2;

/** A file in pieces, from its beginning; it is opened when the first one is asked for. */
async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  await using file = await open(path, "r");
  for (let position = 0; ; ) {
    const piece = await pieceAt(file, position);
    if (piece.length === 0) return;
    yield piece;
    position += piece.length;
  }
}

async function pieceAt(file: FileHandle, position: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let length = 0;
  while (length < pieceBytes) {
    const { bytesRead } = await file.read(
      buffer,
      length,
      pieceBytes - length,
      position + length,
    );
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Has the pieces of a file sent when there is room for that. */
type Turns = (
  pieces: AsyncIterable<Buffer>,
  send: (pieces: AsyncIterable<Buffer>) => Promise<void>,
) => Promise<void>;

/**
 * Sends a file that is not empty. A connection that breaks or falls silent is taken up where the service has come to.
 *
 * @param settings as in the library; the service compares checksums in them with what it has got, before there is an object
 * @param retries of each piece: a file may be on its way for as long as it takes
 * @throws the library's errors.
 */
export async function sendResumably(
  file: File,
  path: string,
  settings: CreateResumableUploadOptions,
  retries: StorageRetries,
  inTurn: Turns = (pieces, send) => send(pieces),
): Promise<void> {
  const { size } = await stat(path);
  for (let beginning = 1; ; beginning++) {
    let hasBegun = false;
    try {
      await inTurn(piecesOf(path), async (pieces) => {
        // Whoever has the address needs no other credential.
        const [address] = await file.createResumableUpload(settings);
        hasBegun = true;
        const upload = new Upload(address, size, retries);
        for await (const piece of pieces) await upload.send(piece);
      });
      return;
    } catch (error) {
      const isForgotten = [404, 410].includes(googleStatus(error) ?? 0);
      if (!hasBegun || !isForgotten || beginning === beginnings) throw error;
    }
  }
}

/** The library's own: it heeds proxies. */
const client = new gaxios.Gaxios();

class Upload {
  readonly #address: string;
  readonly #sizeBytes: number;
  readonly #retries: StorageRetries;
  /** What the service has. */
  #arrivedBytes = 0;

  constructor(address: string, sizeBytes: number, retries: StorageRetries) {
    this.#address = address;
    this.#sizeBytes = sizeBytes;
    this.#retries = retries;
  }

  /** Sends the next piece, until the service has all of it. */
  async send(piece: Buffer): Promise<void> {
    const start = this.#arrivedBytes;
    const end = start + piece.length;
    while (this.#arrivedBytes < end) {
      let mayHaveArrived = false;
      await pRetry(
        async () => {
          if (mayHaveArrived) await this.#call("*");
          mayHaveArrived = true;
          const from = this.#arrivedBytes;
          if (from >= end) return;
          await this.#call(`${from}-${end - 1}`, piece.subarray(from - start));
        },
        {
          retries: this.#retries.maxRetries,
          maxRetryTime: this.#retries.totalTimeoutSeconds * 1000,
          minTimeout: firstPauseMilliseconds,
          maxTimeout: longestPauseMilliseconds,
          randomize: true,
          shouldRetry: ({ error }) => failureKind(error) === "passing",
        },
      );
    }
  }

  /** Sends a range of the file, or asks what has arrived. */
  async #call(range: string, bytes: Buffer = Buffer.alloc(0)): Promise<void> {
    const before = this.#arrivedBytes;
    const { status, headers } = await client.request({
      url: this.#address,
      method: "PUT",
      headers: {
        "content-length": String(bytes.length),
        "content-range": `bytes ${range}/${this.#sizeBytes}`,
      },
      body: bytes,
      responseType: "text",
      validateStatus: (status) => status === 308 || status < 300,
    });
    if (status !== 308) {
      this.#arrivedBytes = this.#sizeBytes;
      return;
    }
    const [, last] = /-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
    this.#arrivedBytes = last === undefined ? 0 : Number(last) + 1;
    if (this.#arrivedBytes < before) {
      throw new GoogleError(410, [], "what had arrived of the upload is lost");
    }
    if (bytes.length > 0 && this.#arrivedBytes === before) {
      throw new GoogleError(503, [], "nothing was taken of what was sent");
    }
  }
}
