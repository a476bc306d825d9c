/** One blob of pages, as it is asked for and changed. */

import type { PageBlobClient } from "@azure/storage-blob";
import { type BlobAccess, containerUrl } from "../../azure/access.ts";
import type { Retries } from "../../azure/clients.ts";
import { ContainerCaller } from "../../azure/containerCaller.ts";
import { failureKind } from "../../azure/failures.ts";
import { PublicationError } from "../../errors.ts";
import type { Extent } from "../../store/sparseFile.ts";

/** A blob that is there. */
export interface FoundBlob {
  readonly etag: string;
  readonly sizeBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Counts those who set out to write to it. All of a run's pages go with its number, so that nothing arrives from a run
   * that another one followed: a lease would have to be waited for where its holder was killed.
   */
  readonly sequenceNumber: number;
}

/** In a container that has gone, all blobs have. */
const isMissing = (error: unknown) =>
  ["missing", "noContainer"].includes(failureKind(error));
const isDamaged = (error: unknown) => failureKind(error) === "damaged";
const isConflict = (error: unknown) => failureKind(error) === "conflict";

/** How often pages are sent that arrive as something else. */
const damagedAttempts = 3;

export class PageBlobApi {
  readonly url: string;
  readonly #caller: ContainerCaller;
  readonly #name: string;

  constructor(access: BlobAccess, name: string, retries: Retries) {
    this.#caller = new ContainerCaller(access, retries);
    this.#name = name;
    this.url = `${containerUrl(access)}/${name}`;
  }

  /** The blob as it is now. */
  async find(): Promise<FoundBlob | undefined> {
    try {
      const found = await this.#call(
        "look at",
        (blob) => blob.getProperties(),
        isMissing,
      );
      return {
        etag: found.etag ?? "",
        sizeBytes: found.contentLength ?? 0,
        metadata: found.metadata ?? {},
        sequenceNumber: found.blobSequenceNumber ?? 0,
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Makes it, of nothing but zeros; `undefined` when it is there already. */
  async create(
    sizeBytes: number,
    metadata: Readonly<Record<string, string>>,
  ): Promise<FoundBlob | undefined> {
    try {
      const { etag = "" } = await this.#call(
        "make",
        (blob) =>
          blob.create(sizeBytes, {
            metadata,
            conditions: { ifNoneMatch: "*" },
          }),
        isConflict,
      );
      return { etag, sizeBytes, metadata, sequenceNumber: 0 };
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  /** Takes it over: from now on nothing is written to it by those who had it before. */
  async claim(found: FoundBlob): Promise<FoundBlob> {
    const { etag = "", blobSequenceNumber = 0 } = await this.#unlessOvertaken(
      "take over",
      (blob) =>
        blob.updateSequenceNumber("increment", undefined, {
          conditions: { ifMatch: found.etag },
        }),
    );
    return { ...found, etag, sequenceNumber: blobSequenceNumber };
  }

  /** The parts that were written, as the server has them. */
  ranges(): Promise<readonly Extent[]> {
    return this.#call("list the pages of", async (blob) => {
      const ranges: Extent[] = [];
      for await (const { start, end, isClear } of blob.listPageRanges()) {
        if (!isClear) ranges.push({ start, bytes: end - start + 1 });
      }
      return ranges;
    });
  }

  /**
   * Writes pages.
   *
   * @param md5 by which the server checks what arrived
   */
  async put(
    { start, bytes }: Extent,
    data: Buffer,
    md5: Buffer,
    { sequenceNumber }: FoundBlob,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#unlessOvertaken(
          "write to",
          async (blob) => {
            await blob.uploadPages(data, start, bytes, {
              transactionalContentMD5: md5,
              conditions: { ifSequenceNumberEqualTo: sequenceNumber },
            });
          },
          (error) => isDamaged(error) && attempt < damagedAttempts,
        );
      } catch (error) {
        if (!isDamaged(error)) throw error;
      }
    }
  }

  /** Reads bytes into a buffer, as long as the blob is what was found. */
  async get(
    { start, bytes }: Extent,
    buffer: Buffer,
    { etag }: FoundBlob,
  ): Promise<void> {
    await this.#unlessOvertaken("read", (blob) =>
      blob.downloadToBuffer(buffer, start, bytes, {
        blockSize: bytes,
        conditions: { ifMatch: etag },
      }),
    );
  }

  /** Gives it other metadata, as long as it is what was found, and returns its new ETag. */
  async describe(
    found: FoundBlob,
    metadata: Readonly<Record<string, string>>,
  ): Promise<string> {
    const { etag = "" } = await this.#unlessOvertaken("describe", (blob) =>
      blob.setMetadata(metadata, { conditions: { ifMatch: found.etag } }),
    );
    return etag;
  }

  /** Removes it, as long as it is what was found; what is gone already is no error. */
  async remove(found: FoundBlob): Promise<void> {
    try {
      await this.#unlessOvertaken(
        "remove",
        (blob) =>
          blob.delete({
            deleteSnapshots: "include",
            conditions: { ifMatch: found.etag },
          }),
        isMissing,
      );
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async #unlessOvertaken<T>(
    task: string,
    send: (blob: PageBlobClient) => Promise<T>,
    isExpected: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    try {
      return await this.#call(
        task,
        send,
        (error) => isConflict(error) || isExpected(error),
      );
    } catch (error) {
      if (!isConflict(error)) throw error;
      throw new PublicationError(
        `It was not possible to ${task} ${this.url}, as another run, or somebody else, works on it. Run again when that has ended: it goes on with what is there.`,
      );
    }
  }

  #call<T>(
    task: string,
    send: (blob: PageBlobClient) => Promise<T>,
    isExpected?: (error: unknown) => boolean,
  ): Promise<T> {
    return this.#caller.call(
      `${task} ${this.url}`,
      (container) => send(container.getPageBlobClient(this.#name)),
      isExpected,
    );
  }
}
