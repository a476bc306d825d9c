/** The blocks of a completed snapshot, read by the EBS direct APIs. */

import { createHash } from "node:crypto";
import {
  type EBSClient,
  GetSnapshotBlockCommand,
  ListSnapshotBlocksCommand,
} from "@aws-sdk/client-ebs";
import type { AwsAccess } from "../../aws/access.ts";
import { ebsClient } from "../../aws/clients.ts";
import { type Patience, PatientCaller } from "../../aws/patientCaller.ts";
import { PublicationError, WrongCopyError } from "../../errors.ts";
import { blockBytes } from "./snapshotRequest.ts";

/** How it is read. */
export interface ReaderSettings {
  /** Blocks on their way, or waiting for their turn, at one time: each takes a block's memory. */
  readonly concurrency: number;
  readonly patience: Patience;
}

/** A block that arrives altered is fetched again; one that does so each time is altered where it is kept. */
const arrivals = 3;

/** Tokens of blocks expire: so often new ones are asked for in a row. */
const renewals = 10;

/** Reads one snapshot. */
export class SnapshotReader {
  readonly #region: string;
  readonly #snapshotId: string;
  readonly #concurrency: number;
  readonly #ebs: PatientCaller<EBSClient>;
  readonly #tokens = new Map<number, string>();
  #renewing: Promise<void> | undefined;
  /** Memory of blocks that were done with. */
  readonly #free: Buffer[] = [];

  private constructor(
    access: AwsAccess,
    snapshotId: string,
    { concurrency, patience }: ReaderSettings,
  ) {
    this.#region = access.region;
    this.#snapshotId = snapshotId;
    this.#concurrency = concurrency;
    const makeClient = () => ebsClient(access, 1);
    this.#ebs = new PatientCaller(access, makeClient, patience);
  }

  /**
   * Lists the blocks of a snapshot.
   * @throws {UserError | PublicationError} when it is not completed or cannot be read.
   */
  static async open(
    access: AwsAccess,
    snapshotId: string,
    settings: ReaderSettings,
  ): Promise<SnapshotReader> {
    const reader = new SnapshotReader(access, snapshotId, settings);
    let page: string | undefined;
    do page = await reader.#list(page === undefined ? {} : { NextToken: page });
    while (page !== undefined);
    return reader;
  }

  /** The indices of the blocks that it has, in order; all others are zeros. */
  get indices(): readonly number[] {
    return [...this.#tokens.keys()].sort((one, other) => one - other);
  }

  /** Whether it has a block. */
  has(index: number): boolean {
    return this.#tokens.has(index);
  }

  /**
   * The bytes of blocks that it has, in the order in which they are asked for; each is good until the next one is.
   * @throws {WrongCopyError} when a block is not what its checksum says.
   * @throws {UserError | PublicationError} when one cannot be read.
   */
  async *blocks(indices: Iterable<number>): AsyncGenerator<Buffer, void> {
    const window: Promise<Buffer>[] = [];
    for (const index of indices) {
      const block = this.#block(index);
      // It may fail while nobody waits for it yet.
      block.catch(() => {});
      window.push(block);
      if (window.length >= this.#concurrency) yield* this.#lend(window);
    }
    while (window.length > 0) yield* this.#lend(window);
  }

  /** The first block of a window, whose memory the next one gets. */
  async *#lend(window: Promise<Buffer>[]): AsyncGenerator<Buffer, void> {
    const block = await (window.shift() as Promise<Buffer>);
    yield block;
    if (block.length === blockBytes) this.#free.push(block);
  }

  /** Takes note of one page; what it returns leads to the next. */
  async #list(from: {
    readonly NextToken?: string;
    readonly StartingBlockIndex?: number;
  }): Promise<string | undefined> {
    const input = { SnapshotId: this.#snapshotId, ...from };
    const { Blocks = [], NextToken } = await this.#ebs.call(
      `list the blocks of the snapshot ${this.#snapshotId}`,
      (client) => client.send(new ListSnapshotBlocksCommand(input)),
    );
    for (const { BlockIndex, BlockToken } of Blocks) {
      if (BlockIndex === undefined || BlockToken === undefined) continue;
      this.#tokens.set(BlockIndex, BlockToken);
    }
    return NextToken === "" ? undefined : NextToken;
  }

  async #block(index: number): Promise<Buffer> {
    const block = this.#free.pop() ?? Buffer.alloc(blockBytes);
    for (let arrival = 1; arrival <= arrivals; arrival++) {
      const { data, checksum } = await this.#fetch(index, block);
      const digest = createHash("sha256").update(data).digest("base64");
      if (checksum === undefined || digest === checksum) return data;
    }
    throw new WrongCopyError(
      `Block ${index} of the snapshot ${this.#snapshotId} in ${this.#region} is not what its own checksum says. Run scripts/pulumi up --refresh to have the snapshot made again.`,
    );
  }

  /** @param block gets the bytes */
  async #fetch(index: number, block: Buffer) {
    for (let renewal = 0; renewal <= renewals; renewal++) {
      const BlockToken = this.#tokens.get(index);
      const input = {
        ...{ SnapshotId: this.#snapshotId, BlockIndex: index, BlockToken },
      };
      try {
        return await this.#ebs.call(
          `read block ${index} of the snapshot ${this.#snapshotId}`,
          async (client) => {
            const answer = await client.send(
              new GetSnapshotBlockCommand(input),
            );
            // What Node's client answers with is a stream.
            const stream = answer.BlockData as AsyncIterable<Uint8Array>;
            let bytes = 0;
            for await (const part of stream) {
              block.set(part, bytes);
              bytes += part.length;
            }
            return {
              data: block.subarray(0, bytes),
              checksum: answer.Checksum,
            };
          },
          { isExpected: isStaleToken },
        );
      } catch (error) {
        if (!isStaleToken(error)) throw error;
        if (this.#tokens.get(index) === BlockToken) await this.#renew(index);
      }
    }
    throw new PublicationError(
      `EBS direct in ${this.#region} does not take its own tokens for block ${index} of the snapshot ${this.#snapshotId}. Run again.`,
    );
  }

  /** New tokens for that block and those after it; calls side by side share one. */
  async #renew(index: number): Promise<void> {
    this.#renewing ??= this.#list({ StartingBlockIndex: index }).then(
      () => {
        this.#renewing = undefined;
      },
      (error: unknown) => {
        this.#renewing = undefined;
        throw error;
      },
    );
    await this.#renewing;
  }
}

function isStaleToken(error: unknown): boolean {
  return (error as { Reason?: string }).Reason === "INVALID_BLOCK_TOKEN";
}
