/**
 * EBS direct as strict as it is at Amazon, where moto is not: client tokens, checksums of blocks and of the whole,
 * lengths, indices, states, block tokens, pages; and snapshots that EC2 calls pending until they are ready.
 */

import { createHash } from "node:crypto";
import {
  type ApiAnswer,
  type ApiCall,
  apiError,
  type Forward,
  isCall,
  jsonAnswer,
  type ProxyRule,
} from "./awsProxy.ts";

/** EBS direct has blocks of this size only. */
const blockBytes = 512 * 1024;

/** How a test wants it. */
export interface StrictEbsSettings {
  /** From completion until EC2 calls a snapshot completed; infinite for never. */
  readyMilliseconds: number;
  /** At most so many blocks in a page of a list, whatever is asked for. */
  pageBlocks: number;
  /** How many calls of GetSnapshotBlock the tokens of one page are good for. */
  blockTokenUses: number;
  /** Whether blocks that were put are kept in moto; a benchmark has no use for them. */
  keepsBlocks: boolean;
}

/** A snapshot as far as moto does not know it. */
export interface StrictSnapshot {
  readonly id: string;
  readonly volumeSizeGiB: number;
  readonly encrypted: boolean;
  readonly kmsKeyArn: string | undefined;
  /** Digest of each block that was put, raw bytes. */
  readonly blocks: Map<number, Buffer>;
  /** When it was completed, by {@link performance.now}. */
  completedAt?: number;
  /** `error`, as EC2 shows a snapshot that came to nothing. */
  failed?: boolean;
}

interface Started {
  readonly parameters: string;
  readonly answer: ApiAnswer;
}

/** Tokens that one page of a list gave out. */
interface Page {
  readonly snapshotId: string;
  usesLeft: number;
}

/** The rule, and what it knows: tests look at it, and change it. */
export class StrictEbs implements ProxyRule {
  readonly snapshots = new Map<string, StrictSnapshot>();
  readonly settings: StrictEbsSettings;
  readonly #started = new Map<string, Started>();
  readonly #pages = new Map<string, Page>();

  constructor(settings: Partial<StrictEbsSettings> = {}) {
    this.settings = {
      readyMilliseconds: 0,
      pageBlocks: 1000,
      blockTokenUses: Number.POSITIVE_INFINITY,
      keepsBlocks: true,
      ...settings,
    };
  }

  /** Forgets all snapshots and tokens. */
  reset(): void {
    this.snapshots.clear();
    this.#started.clear();
    this.#pages.clear();
  }

  matches(call: ApiCall): boolean {
    return (
      isCall("ebs")(call) ||
      isCall("ec2", "DescribeSnapshots", "DeleteSnapshot")(call)
    );
  }

  act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    switch (call.action) {
      case "StartSnapshot":
        return this.#start(call, forward);
      case "PutSnapshotBlock":
        return this.#put(call, forward);
      case "CompleteSnapshot":
        return this.#complete(call, forward);
      case "ListSnapshotBlocks":
        return this.#list(call, forward);
      case "GetSnapshotBlock":
        return this.#get(call, forward);
      case "DescribeSnapshots":
        return this.#describe(call, forward);
      case "DeleteSnapshot":
        return this.#delete(call, forward);
      default:
        return Promise.resolve(invalid(call, `${call.action} is not known.`));
    }
  }

  async #start(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const asked = JSON.parse(call.body.toString()) as {
      VolumeSize?: number;
      ClientToken?: string;
      Encrypted?: boolean;
      KmsKeyArn?: string;
      Timeout?: number;
      Description?: string;
      Tags?: { Key: string; Value: string }[];
    };
    const { ClientToken: token = "", VolumeSize: size = 0 } = asked;
    const { Timeout: timeout = 60, Tags: tags = [] } = asked;
    if (!/^[\x21-\x7e]{1,64}$/.test(token)) {
      return invalid(call, "ClientToken is not valid.");
    }
    if (!Number.isInteger(size) || size < 1 || size > 65_536) {
      return invalid(call, "VolumeSize is not valid.", "INVALID_VOLUME_SIZE");
    }
    if (!Number.isInteger(timeout) || timeout < 10 || timeout > 4320) {
      return invalid(call, "Timeout is not valid.");
    }
    if ((asked.Description ?? "").length > 255) {
      return invalid(call, "Description is too long.");
    }
    if (asked.KmsKeyArn !== undefined && asked.Encrypted !== true) {
      return invalid(call, "KmsKeyArn needs Encrypted.");
    }
    const names = new Set(tags.map(({ Key }) => Key));
    const hasBadTag = tags.some(
      ({ Key, Value }) =>
        /^aws:/i.test(Key) || Key.length > 128 || Value.length > 256,
    );
    if (hasBadTag || names.size !== tags.length || tags.length > 50) {
      return invalid(call, "Tags are not valid.", "INVALID_TAG");
    }
    const parameters = JSON.stringify(asked);
    const key = `${call.account} ${call.region} ${token}`;
    const before = this.#started.get(key);
    if (before !== undefined) {
      return before.parameters === parameters
        ? before.answer
        : apiError(
            call,
            409,
            "ConflictException",
            "The client token was used with other parameters.",
          );
    }
    const answer = await forward(call);
    if (answer === "cut" || answer.status >= 300) return answer;
    const made = JSON.parse(answer.body.toString()) as { SnapshotId: string };
    const ours = jsonAnswer(201, { ...made, BlockSize: blockBytes });
    this.#started.set(key, { parameters, answer: ours });
    this.snapshots.set(made.SnapshotId, {
      id: made.SnapshotId,
      volumeSizeGiB: size,
      encrypted: asked.Encrypted === true,
      kmsKeyArn: asked.KmsKeyArn,
      blocks: new Map(),
    });
    return ours;
  }

  async #put(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { snapshot, index } = this.#target(call);
    if (snapshot === undefined) return notFound(call);
    if (snapshot.completedAt !== undefined || snapshot.failed) {
      return invalid(call, `${snapshot.id} is not pending.`);
    }
    if (!this.#isBlock(snapshot, index)) {
      return invalid(call, "There is no such block.", "INVALID_BLOCK");
    }
    const { headers, body } = call;
    if (
      headers["x-amz-data-length"] !== String(blockBytes) ||
      body.length !== blockBytes
    ) {
      return invalid(call, `A block has ${blockBytes} bytes.`);
    }
    const digest = createHash("sha256").update(body).digest();
    if (
      headers["x-amz-checksum-algorithm"] !== "SHA256" ||
      headers["x-amz-checksum"] !== digest.toString("base64")
    ) {
      return invalid(call, "The checksum is not that of the data.");
    }
    const progress = headers["x-amz-progress"];
    if (progress !== undefined && !/^(100|[0-9]{1,2})$/.test(progress)) {
      return invalid(call, "Progress is not valid.");
    }
    const answer = this.settings.keepsBlocks
      ? await forward(call)
      : jsonAnswer(201, {});
    if (answer !== "cut" && answer.status < 300) {
      snapshot.blocks.set(index, digest);
      return {
        ...answer,
        headers: {
          ...answer.headers,
          "x-amz-checksum": digest.toString("base64"),
          "x-amz-checksum-algorithm": "SHA256",
        },
      };
    }
    return answer;
  }

  async #complete(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { snapshot } = this.#target(call);
    if (snapshot === undefined) return notFound(call);
    if (snapshot.failed) return invalid(call, `${snapshot.id} is in error.`);
    const { headers } = call;
    const { blocks } = snapshot;
    if (headers["x-amz-changedblockscount"] !== String(blocks.size)) {
      return invalid(call, "ChangedBlocksCount is not what was written.");
    }
    const checksum = headers["x-amz-checksum"];
    if (
      checksum !== undefined &&
      (checksum !== linearChecksum(blocks) ||
        headers["x-amz-checksum-algorithm"] !== "SHA256" ||
        headers["x-amz-checksum-aggregation-method"] !== "LINEAR")
    ) {
      return invalid(call, "The checksum is not that of the blocks.");
    }
    const answer = await forward(call);
    if (answer !== "cut" && answer.status < 300) {
      snapshot.completedAt ??= performance.now();
      return jsonAnswer(202, {
        Status: this.#isReady(snapshot) ? "completed" : "pending",
      });
    }
    return answer;
  }

  async #list(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { snapshot } = this.#target(call);
    if (snapshot === undefined) return notFound(call);
    if (!this.#isReady(snapshot)) {
      return invalid(call, `${snapshot.id} is not completed.`);
    }
    const asked = Number(call.parameters.get("maxResults") ?? 10_000);
    if (asked < 100 || asked > 10_000) {
      return invalid(call, "MaxResults is not valid.");
    }
    const pageToken = call.parameters.get("pageToken");
    const [, from] = /^page([0-9]+)$/.exec(pageToken ?? "page0") ?? [];
    if (from === undefined) {
      return invalid(call, "NextToken is not valid.", "INVALID_PAGE_TOKEN");
    }
    const answer = await forward(call);
    if (answer === "cut" || answer.status >= 300) return answer;
    const { Blocks: all = [] } = JSON.parse(answer.body.toString()) as {
      Blocks?: { BlockIndex: number; BlockToken: string }[];
    };
    const start = Math.max(
      Number(from),
      pageToken === null
        ? Number(call.parameters.get("startingBlockIndex") ?? 0)
        : 0,
    );
    const rest = all
      .filter(({ BlockIndex }) => BlockIndex >= start)
      .toSorted((one, other) => one.BlockIndex - other.BlockIndex);
    const length = Math.min(asked, this.settings.pageBlocks);
    const id = `${this.#pages.size}`;
    const usesLeft = this.settings.blockTokenUses;
    this.#pages.set(id, { snapshotId: snapshot.id, usesLeft });
    const next = rest[length];
    return jsonAnswer(200, {
      Blocks: rest.slice(0, length).map(({ BlockIndex }) => ({
        BlockIndex,
        BlockToken: `${id}/${BlockIndex}`,
      })),
      ExpiryTime: Date.now() / 1000 + 3600,
      VolumeSize: snapshot.volumeSizeGiB,
      BlockSize: blockBytes,
      ...(next === undefined ? {} : { NextToken: `page${next.BlockIndex}` }),
    });
  }

  async #get(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { snapshot, index } = this.#target(call);
    if (snapshot === undefined) return notFound(call);
    const token = call.parameters.get("blockToken") ?? "";
    const [, id = "", tokenIndex] = /^([0-9]+)\/([0-9]+)$/.exec(token) ?? [];
    const page = this.#pages.get(id);
    if (
      page === undefined ||
      page.snapshotId !== snapshot.id ||
      tokenIndex !== String(index) ||
      page.usesLeft <= 0
    ) {
      return invalid(
        call,
        "The block token is not valid.",
        "INVALID_BLOCK_TOKEN",
      );
    }
    page.usesLeft--;
    const answer = await forward(call);
    const digest = snapshot.blocks.get(index);
    if (answer === "cut" || answer.status >= 300 || digest === undefined) {
      return answer;
    }
    return {
      ...answer,
      headers: {
        ...answer.headers,
        "x-amz-data-length": String(blockBytes),
        "x-amz-checksum": digest.toString("base64"),
        "x-amz-checksum-algorithm": "SHA256",
      },
    };
  }

  /** moto calls every snapshot completed, and none of EBS direct encrypted. */
  async #describe(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const answer = await forward(call);
    if (answer === "cut" || answer.status >= 300) return answer;
    const text = answer.body
      .toString()
      .replaceAll(
        /(<snapshotId>([^<]+)<\/snapshotId>.*?<status>)[^<]*/gs,
        (all, before: string, id: string) => {
          const snapshot = this.snapshots.get(id);
          if (snapshot === undefined) return all;
          const ready = this.#isReady(snapshot) ? "completed" : "pending";
          return before + (snapshot.failed ? "error" : ready);
        },
      )
      .replaceAll(
        /(<snapshotId>([^<]+)<\/snapshotId>(?:(?!<snapshotId>).)*?<encrypted>)[^<]*/gs,
        (all, before: string, id: string) =>
          this.snapshots.get(id)?.encrypted ? `${before}true` : all,
      );
    return { ...answer, body: Buffer.from(text) };
  }

  async #delete(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const answer = await forward(call);
    if (answer !== "cut" && answer.status < 300) {
      this.snapshots.delete(call.parameters.get("SnapshotId") ?? "");
    }
    return answer;
  }

  #target(call: ApiCall): {
    readonly snapshot: StrictSnapshot | undefined;
    readonly index: number;
  } {
    const [path = ""] = call.path.split("?");
    const [, , first = "", second = "", third = ""] = path.split("/");
    const id = first === "completion" ? second : first;
    return { snapshot: this.snapshots.get(id), index: Number(third) };
  }

  #isBlock({ volumeSizeGiB }: StrictSnapshot, index: number): boolean {
    const count = (volumeSizeGiB * 1024 ** 3) / blockBytes;
    return Number.isInteger(index) && index >= 0 && index < count;
  }

  #isReady({ completedAt, failed }: StrictSnapshot): boolean {
    return (
      failed !== true &&
      completedAt !== undefined &&
      performance.now() - completedAt >= this.settings.readyMilliseconds
    );
  }
}

/** The checksum over all: of the raw checksums of the blocks, in the order of their indices. */
function linearChecksum(blocks: ReadonlyMap<number, Buffer>): string {
  const inOrder = [...blocks].toSorted(([one], [other]) => one - other);
  const hash = createHash("sha256");
  for (const [, digest] of inOrder) hash.update(digest);
  return hash.digest("base64");
}

function invalid(
  call: ApiCall,
  message: string,
  reason = "INVALID_PARAMETER_VALUE",
): ApiAnswer {
  return apiError(call, 400, "ValidationException", message, {
    Reason: reason,
  });
}

function notFound(call: ApiCall): ApiAnswer {
  return apiError(
    call,
    404,
    "ResourceNotFoundException",
    "The snapshot does not exist.",
    { Reason: "SNAPSHOT_NOT_FOUND" },
  );
}
