/** A snapshot written block by block over the network, by the EBS direct APIs: no instance takes part. */

import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CompleteSnapshotCommand,
  type EBSClient,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from "@aws-sdk/client-ebs";
import { ebsClient } from "../../aws/clients.ts";
import { awsErrorCode, awsFailure, failureKind } from "../../aws/failures.ts";
import {
  type Patience,
  PatientCaller,
  usualPatience,
} from "../../aws/patientCaller.ts";
import { PublicationError } from "../../errors.ts";
import { planBlocks } from "./blockPlan.ts";
import { readBlock, readSnapshotBack } from "./readBack.ts";
import {
  blockBytes,
  type MadeSnapshot,
  type SnapshotMethod,
  type SnapshotRequest,
  type Tell,
  volumeSizeGiB,
} from "./snapshotRequest.ts";
import {
  deleteSnapshot,
  type Ec2Caller,
  ec2Caller,
  findSnapshot,
  snapshotsWithTags,
} from "./snapshots.ts";
import { apiTags } from "./tags.ts";
import { TransferProgress } from "./transferProgress.ts";

/** What decides how fast and how long it is tried. */
export interface EbsDirectSettings {
  /** Blocks on their way at one time: each takes a block's memory, and hides the time that an answer takes. */
  readonly concurrency: number;
  readonly patience: Patience;
  /** From completion until EC2 calls a snapshot completed: seconds as a rule, minutes for large ones. */
  readonly readySeconds: number;
  readonly readyPollSeconds: number;
}

/**
 * 24 blocks: at 100 ms for an answer 120 MiB/s, more than one connection to the Internet has, and far below the
 * account's 1000 requests a second.
 */
export const usualSettings: EbsDirectSettings = {
  concurrency: 24,
  patience: usualPatience,
  readySeconds: 1800,
  readyPollSeconds: 5,
};

/** Amazon gives up a snapshot that gets no block for so long; an interrupted upload is found again until then. */
const timeoutMinutes = 60;

/** Earlier starts of one request that came to nothing, at most: each is a deleted snapshot whose token is remembered. */
const maxStarts = 20;

/** Snapshots to and from EBS direct. */
export function ebsDirect(
  settings: EbsDirectSettings = usualSettings,
): SnapshotMethod {
  return {
    make: (request, tell) => new Upload(request, tell, settings).run(),
    readBack: (request, tell) => readSnapshotBack(request, tell, settings),
  };
}

/** A block that was altered on its way is refused: so often the same one is sent. */
const arrivals = 3;

/** A snapshot to write to. */
interface Begun {
  readonly snapshotId: string;
  /** Whether an earlier attempt began it, and may have completed it. */
  readonly isFound: boolean;
}

/** What became of a snapshot that was begun. */
type Outcome =
  | { readonly kind: "written"; readonly checksum: string }
  /** It takes no more blocks: an earlier attempt has completed it. */
  | { readonly kind: "sealed" }
  /** It was deleted; its token still leads to it. */
  | { readonly kind: "gone" };

class Upload {
  readonly #request: SnapshotRequest;
  readonly #tell: Tell;
  readonly #settings: EbsDirectSettings;
  readonly #ebs: PatientCaller<EBSClient>;
  readonly #ec2: Ec2Caller;
  /** Milliseconds since the epoch. */
  readonly #beganAt = Date.now();
  #sentBytes = 0;

  constructor(
    request: SnapshotRequest,
    tell: Tell,
    settings: EbsDirectSettings,
  ) {
    const { access } = request;
    this.#request = request;
    this.#tell = tell;
    this.#settings = settings;
    this.#ebs = new PatientCaller(
      access,
      () => ebsClient(access, 1),
      settings.patience,
    );
    this.#ec2 = ec2Caller(access, settings.patience);
  }

  async run(): Promise<MadeSnapshot> {
    const { rawPath, sizeBytes, zeroBlocks } = this.#request;
    // While it is begun; a disk that cannot be read shows where the plan is needed.
    const planning = planBlocks(rawPath, sizeBytes, zeroBlocks);
    planning.catch(() => {});
    for (let start = 0; start < maxStarts; start++) {
      const begun = await this.#start(start);
      if (begun === undefined) continue;
      const { snapshotId, isFound } = begun;
      const snapshot = await findSnapshot(this.#ec2, snapshotId);
      if (snapshot?.State === "completed") {
        await this.#removeOthers(snapshotId);
        return this.#made(snapshotId);
      }
      if (snapshot?.State === "error") {
        await this.#remove(snapshotId, "came to nothing");
        continue;
      }
      const plan = await planning;
      const outcome = await this.#write(snapshotId, plan, isFound);
      if (outcome.kind === "gone") continue;
      // Not before: what this token led to may be gone, and what another one led to half written.
      await this.#removeOthers(snapshotId);
      if (outcome.kind === "written") {
        await this.#complete(snapshotId, plan.length, outcome.checksum);
      }
      await this.#waitUntilReady(snapshotId);
      return this.#made(snapshotId);
    }
    throw new PublicationError(
      `${maxStarts} snapshots of ${this.#request.label} in ${this.#request.access.region} were begun and came to nothing. See in the EC2 console who deletes them, and run again.`,
    );
  }

  #made(snapshotId: string): MadeSnapshot {
    return {
      snapshotId,
      volumeSizeGiB: volumeSizeGiB(this.#request.sizeBytes),
      sentBytes: this.#sentBytes,
    };
  }

  /**
   * Begins a snapshot, or finds the one that was begun with the same token. Everything that Amazon compares goes into
   * the token, so that a change makes another snapshot instead of a conflict.
   */
  async #start(start: number): Promise<Begun | undefined> {
    const { token, sizeBytes, description, tags, encryption, zeroBlocks } =
      this.#request;
    const input = {
      VolumeSize: volumeSizeGiB(sizeBytes),
      Description: description,
      Tags: apiTags(tags),
      Timeout: timeoutMinutes,
      ...(encryption === undefined ? {} : { Encrypted: true }),
      ...(encryption?.kmsKey === undefined
        ? {}
        : { KmsKeyArn: encryption.kmsKey }),
    };
    const ClientToken = createHash("sha256")
      .update(JSON.stringify([token, start, zeroBlocks, input]))
      .digest("hex");
    try {
      const { SnapshotId, BlockSize, StartTime } = await this.#ebs.call(
        `begin a snapshot of ${this.#request.label}`,
        (client) =>
          client.send(new StartSnapshotCommand({ ...input, ClientToken })),
        { isExpected: isConflict },
      );
      if (SnapshotId === undefined || BlockSize !== blockBytes) {
        throw new PublicationError(
          `EBS direct answers with blocks of ${BlockSize} bytes instead of ${blockBytes}. Use another endpoint, or method: volume.`,
        );
      }
      const isFound =
        StartTime !== undefined && StartTime.getTime() < this.#beganAt;
      return { snapshotId: SnapshotId, isFound };
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  /** Removes what earlier attempts left: there is one snapshot, or none. */
  async #removeOthers(keptId: string): Promise<void> {
    const { identityTags } = this.#request;
    const found = await snapshotsWithTags(this.#ec2, identityTags);
    for (const { SnapshotId } of found) {
      if (SnapshotId === undefined || SnapshotId === keptId) continue;
      await this.#remove(SnapshotId, "is left from an earlier attempt");
    }
  }

  async #remove(snapshotId: string, reason: string): Promise<void> {
    this.#tell(`deleting the snapshot ${snapshotId}, which ${reason}`);
    await deleteSnapshot(this.#ec2, snapshotId, 0);
  }

  /** Puts all blocks; what an earlier attempt put is overwritten by the same. */
  async #write(
    snapshotId: string,
    plan: readonly number[],
    isFound: boolean,
  ): Promise<Outcome> {
    const digests = Buffer.alloc(plan.length * 32);
    const progress = new TransferProgress(
      "sent",
      plan.length * blockBytes,
      this.#tell,
    );
    const stop = new AbortController();
    // Each block on its way listens.
    setMaxListeners(0, stop.signal);
    let next = 0;
    await using file = await open(this.#request.rawPath, "r");
    const work = async (isOver: () => boolean) => {
      const block = Buffer.alloc(blockBytes);
      while (!isOver() && !stop.signal.aborted) {
        const at = next++;
        const index = plan[at] as number;
        await readBlock(file, index, block);
        const digest = createHash("sha256").update(block).digest();
        digest.copy(digests, at * 32);
        const percent = Math.floor((at * 100) / plan.length);
        await this.#put(snapshotId, index, block, digest, percent, stop.signal);
        progress.add(blockBytes);
        this.#request.moved?.();
      }
    };
    try {
      // The first one tells whether there is anything to write to.
      await work(() => next > 0);
      const workers = Array.from({ length: this.#settings.concurrency }, () =>
        work(() => next >= plan.length).catch((error: unknown) => {
          // What the others end with afterwards says nothing.
          stop.abort(error);
        }),
      );
      await Promise.all(workers);
      stop.signal.throwIfAborted();
    } catch (error) {
      if (isGone(error)) return { kind: "gone" };
      const isFirst = next === 1;
      if (isFirst && isFound && isInvalid(error)) return { kind: "sealed" };
      throw isInvalid(error)
        ? awsFailure(
            `take a block of ${snapshotId}`,
            this.#request.access,
            error,
          )
        : error;
    }
    const checksum = createHash("sha256").update(digests).digest("base64");
    return { kind: "written", checksum };
  }

  /** A block that was altered on its way is refused, and sent again. */
  async #put(
    SnapshotId: string,
    BlockIndex: number,
    BlockData: Buffer,
    digest: Buffer,
    Progress: number,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const input = {
      ...{ SnapshotId, BlockIndex, BlockData, Progress },
      DataLength: blockBytes,
      Checksum: digest.toString("base64"),
      ChecksumAlgorithm: "SHA256",
    } as const;
    for (let arrival = 1; ; arrival++) {
      try {
        await this.#ebs.call(
          `write block ${BlockIndex} of the snapshot ${SnapshotId}`,
          (client) => {
            this.#sentBytes += blockBytes;
            const command = new PutSnapshotBlockCommand(input);
            return client.send(command, { abortSignal });
          },
          {
            signal: abortSignal,
            isExpected: (error) => isInvalid(error) || isGone(error),
          },
        );
        return;
      } catch (error) {
        if (!isInvalid(error) || arrival >= arrivals) throw error;
      }
    }
  }

  async #complete(
    SnapshotId: string,
    ChangedBlocksCount: number,
    Checksum: string,
  ): Promise<void> {
    const command = new CompleteSnapshotCommand({
      SnapshotId,
      ChangedBlocksCount,
      Checksum,
      ChecksumAlgorithm: "SHA256",
      ChecksumAggregationMethod: "LINEAR",
    });
    try {
      await this.#ebs.call(
        `complete the snapshot ${SnapshotId}`,
        (client) => client.send(command),
        { isExpected: isInvalid },
      );
    } catch (error) {
      if (!isInvalid(error)) throw error;
      await this.#remove(SnapshotId, "has other blocks than it should");
      throw new PublicationError(
        `AWS does not complete the snapshot ${SnapshotId} of ${this.#request.label}: ${(error as Error).message} It was deleted. Run again: another one is begun.`,
        { cause: error },
      );
    }
  }

  /** A snapshot that does not become ready is of no use, and would be met again by each attempt. */
  async #waitUntilReady(snapshotId: string): Promise<void> {
    const { readySeconds, readyPollSeconds } = this.#settings;
    const started = performance.now();
    let told = false;
    for (;;) {
      const snapshot = await findSnapshot(this.#ec2, snapshotId);
      if (snapshot?.State === "completed") return;
      const waitedSeconds = (performance.now() - started) / 1000;
      if (snapshot?.State === "error" || waitedSeconds > readySeconds) {
        const reason =
          snapshot?.State === "error"
            ? `came to nothing (${snapshot.StateMessage ?? "AWS does not say why"})`
            : `was not ready ${Math.round(waitedSeconds)} s after its completion`;
        await this.#remove(snapshotId, reason);
        throw new PublicationError(
          `The snapshot ${snapshotId} of ${this.#request.label} ${reason}. It was deleted. Run again: another one is begun.`,
        );
      }
      if (!told) this.#tell(`waiting for the snapshot ${snapshotId}`);
      told = true;
      await sleep(readyPollSeconds * 1000);
    }
  }
}

function isConflict(error: unknown): boolean {
  return awsErrorCode(error) === "ConflictException";
}

function isGone(error: unknown): boolean {
  return awsErrorCode(error) === "ResourceNotFoundException";
}

/** Also of a block for a snapshot that takes none any more: there is no code of its own for that. */
function isInvalid(error: unknown): boolean {
  const { Reason } = error as { readonly Reason?: string };
  return (
    awsErrorCode(error) === "ValidationException" &&
    failureKind(error) === "other" &&
    // A key that is disabled, or may not be used: no block will do.
    Reason !== "INVALID_CUSTOMER_KEY"
  );
}
