/** What is asked of a way to get a disk into a snapshot, and what it answers. The two ways share nothing else. */

import type { AwsAccess } from "../../aws/access.ts";
import type { Verification } from "../../store/records.ts";
import type { Sha256 } from "../../store/store.ts";

/** EBS direct counts in blocks of so many bytes, and in no others. */
export const blockBytes = 512 * 1024;

/** Volumes and snapshots have whole sizes. */
const gibibyte = 1024 ** 3;

/** A disk image on this machine. */
export interface RawDisk {
  readonly rawPath: string;
  readonly rawSha256: Sha256;
  readonly sizeBytes: number;
}

/** Whose key encrypts a snapshot. */
export interface SnapshotEncryption {
  /** ARN of a key; the account's own key for EBS when left out. */
  readonly kmsKey?: string | undefined;
}

/** A snapshot that shall be. */
export interface SnapshotRequest extends RawDisk {
  readonly access: AwsAccess;
  /** The image, for messages and progress. */
  readonly label: string;
  /** At most 64 characters of ASCII: the same for the same image of the same stack in the same place, and no other. */
  readonly token: string;
  /** At most 255 characters. */
  readonly description: string;
  /** All of them; a snapshot that carries those of {@link identityTags} belongs to this request. */
  readonly tags: Readonly<Record<string, string>>;
  /** By which of the tags the remains of earlier attempts are found again. */
  readonly identityTags: Readonly<Record<string, string>>;
  readonly encryption?: SnapshotEncryption | undefined;
  /** Whether zeros that a file system of the disk relies on are sent; only encrypted volumes tell the difference. */
  readonly zeroBlocks: ZeroBlocks;
  /** Called when a piece of the disk was sent. */
  readonly moved?: () => void;
}

/** See docs/decisions/0016-blocks-of-zeros.md. */
export type ZeroBlocks = "send" | "skip";

/** A snapshot that EC2 calls completed. */
export interface MadeSnapshot {
  readonly snapshotId: string;
  readonly volumeSizeGiB: number;
  /** Bytes of the disk that went over the network for it, each counted as often as it was sent. */
  readonly sentBytes: number;
}

/** How much of a snapshot is read again. */
export type ReadBackExtent = "all" | { readonly blocks: number };

/** A snapshot, and the disk that it should hold. */
export interface ReadBackRequest extends RawDisk {
  readonly access: AwsAccess;
  readonly snapshotId: string;
  /** The image, for messages and progress. */
  readonly label: string;
  readonly extent: ReadBackExtent;
}

/** Says a line to people while work goes on. */
export type Tell = (line: string) => void;

/** A way to get a disk into a snapshot, and out of it again. */
export interface SnapshotMethod {
  /**
   * Makes the snapshot, or goes on with what an earlier attempt of the same request left; what of that cannot be
   * used is removed. Nobody else works on the same request meanwhile: the caller holds a lock.
   *
   * @throws {PublicationError} when AWS refuses, or does not answer for too long. What is there stays for the next
   * attempt.
   */
  make(request: SnapshotRequest, tell: Tell): Promise<MadeSnapshot>;

  /**
   * Compares a completed snapshot with the disk.
   *
   * @throws {WrongCopyError} when it holds something else.
   * @throws {PublicationError} when it cannot be read.
   */
  readBack(request: ReadBackRequest, tell: Tell): Promise<Verification>;

  /**
   * Removes what attempts left besides snapshots, as nobody will go on with them. The caller holds the lock.
   *
   * @param identityTags those of the request
   * @throws {UserError | PublicationError} when something cannot be removed.
   */
  removeRemains?(
    access: AwsAccess,
    identityTags: Readonly<Record<string, string>>,
  ): Promise<void>;
}

/** The size of the smallest volume that a disk fits in. */
export function volumeSizeGiB(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / gibibyte));
}

/** How many blocks of {@link blockBytes} a disk has, the last of which may be short. */
export function blockCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes);
}
