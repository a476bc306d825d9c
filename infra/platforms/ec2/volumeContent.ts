/** What is written to the device of a volume, and read from it. Memory stays the same whatever the size of the disk. */

import { createHash } from "node:crypto";
import { constants, type FileHandle, open } from "node:fs/promises";
import { PublicationError, StoreError } from "../../errors.ts";
import { errorCode, fileFailure } from "../../store/fileFailure.ts";
import type { Sha256 } from "../../store/store.ts";
import { isZeros } from "./blockPlan.ts";
import { blockBytes, type RawDisk } from "./snapshotRequest.ts";

/** The device that is written to. */
export interface Target {
  readonly path: string;
  readonly sizeBytes: number;
  /** Whether it holds nothing but zeros: a new volume does, one that an interrupted attempt left may not. */
  readonly isBlank: boolean;
}

/** Told of each part that is done. */
export type OnProgress = (bytes: number) => void;

/** A device that somebody else on this machine has open. */
export class DeviceInUseError extends PublicationError {}

/** So much is written before it is waited for: errors show early, and progress is what has really been written. */
const flushBytes = 64 * 1024 * 1024;

const zeros = Buffer.alloc(blockBytes);

/**
 * Writes blocks of a disk to a device, and waits until the device has them. All else becomes zeros, where it is not.
 *
 * @param plan indices of the blocks, in order; all others of the disk are zeros
 * @returns how many bytes were written, those that became zeros not counted
 * @throws {DeviceInUseError} before anything is written, when the device is mounted, or open elsewhere.
 * @throws {PublicationError} when the device cannot be written to.
 * @throws {StoreError} when the disk cannot be read.
 */
export async function writeDisk(
  disk: RawDisk,
  { path, sizeBytes, isBlank }: Target,
  plan: readonly number[],
  onProgress: OnProgress,
): Promise<number> {
  await using source = await openDisk(disk);
  await using device = await openDevice(path, constants.O_RDWR);
  if (!isBlank) await clearOthers(device, path, sizeBytes, new Set(plan));
  const block = Buffer.allocUnsafe(blockBytes);
  let writtenBytes = 0;
  let flushedBytes = 0;
  for (const index of plan) {
    const start = index * blockBytes;
    const length = Math.min(blockBytes, disk.sizeBytes - start);
    await readDisk(disk, source, block.subarray(0, length), start);
    // Volumes consist of whole blocks: what follows a disk that does not is zeros.
    await writeDevice(device, path, block.fill(0, length), start);
    writtenBytes += blockBytes;
    if (writtenBytes - flushedBytes >= flushBytes) {
      await flush(device, path);
      flushedBytes = writtenBytes;
    }
    onProgress(blockBytes);
  }
  await flush(device, path);
  return writtenBytes;
}

/** Makes zeros of what lies outside the planned blocks, also behind the disk's end. */
async function clearOthers(
  device: FileHandle,
  path: string,
  sizeBytes: number,
  planned: ReadonlySet<number>,
): Promise<void> {
  const block = Buffer.allocUnsafe(blockBytes);
  for (let start = 0; start < sizeBytes; start += blockBytes) {
    if (planned.has(start / blockBytes)) continue;
    const length = Math.min(blockBytes, sizeBytes - start);
    const present = await readDevice(device, path, block, length, start);
    if (isZeros(present)) continue;
    await writeDevice(device, path, zeros.subarray(0, length), start);
  }
}

/**
 * Compares blocks of a device with those of a disk.
 *
 * @param indices of the blocks, in order
 * @returns the first one that differs, if any; otherwise the sha256 of all that was read
 * @throws {DeviceInUseError} when the device is mounted, or open elsewhere.
 * @throws {PublicationError} when the device cannot be read.
 * @throws {StoreError} when the disk cannot be read.
 */
export async function compareDisk(
  disk: RawDisk,
  path: string,
  indices: readonly number[],
  onProgress: OnProgress,
): Promise<{ readonly differing?: number; readonly sha256?: Sha256 }> {
  await using source = await openDisk(disk);
  await using device = await openDevice(path, constants.O_RDONLY);
  const hash = createHash("sha256");
  const own = Buffer.allocUnsafe(blockBytes);
  const present = Buffer.allocUnsafe(blockBytes);
  for (const index of indices) {
    const start = index * blockBytes;
    const length = Math.min(blockBytes, disk.sizeBytes - start);
    const found = await readDevice(device, path, present, length, start);
    await readDisk(disk, source, own.subarray(0, length), start);
    if (!found.equals(own.subarray(0, length))) return { differing: index };
    hash.update(found);
    onProgress(length);
  }
  return { sha256: hash.digest("hex") as Sha256 };
}

async function openDisk({ rawPath, sizeBytes }: RawDisk): Promise<FileHandle> {
  const source = await open(rawPath, "r").catch((error: unknown) => {
    throw fileFailure("read", rawPath, error);
  });
  const { size } = await source.stat();
  if (size === sizeBytes) return source;
  await source.close();
  throw new StoreError(
    `${rawPath} has ${size} bytes and not ${sizeBytes}: it is not the image that the store recorded. Run: scripts/pulumi up --refresh`,
  );
}

/** Fills `data`. */
async function readDisk(
  { rawPath }: RawDisk,
  source: FileHandle,
  data: Buffer,
  start: number,
): Promise<void> {
  try {
    if ((await readFully(source, data, start)) === data.length) return;
  } catch (error) {
    throw fileFailure("read", rawPath, error);
  }
  throw new StoreError(
    `${rawPath} became shorter while it was read. Let nothing else write to the store, and run: scripts/pulumi up --refresh`,
  );
}

/** Nobody can mount it, or open it likewise, as long as it is open. Linux has this for block devices alone. */
async function openDevice(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags | constants.O_EXCL);
  } catch (error) {
    if (errorCode(error) === "EBUSY") {
      throw new DeviceInUseError(
        `The device ${path} is mounted, or open in another program, and was left alone. End what uses it (\`lsblk ${path}\` and \`fuser ${path}\` tell), and run again.`,
        { cause: error },
      );
    }
    throw deviceFailure("open", path, error);
  }
}

/** @returns the bytes, in `buffer` */
async function readDevice(
  device: FileHandle,
  path: string,
  buffer: Buffer,
  length: number,
  start: number,
): Promise<Buffer> {
  const data = buffer.subarray(0, length);
  const bytesRead = await readFully(device, data, start).catch(
    (error: unknown) => {
      throw deviceFailure("read", path, error);
    },
  );
  if (bytesRead === length) return data;
  throw new PublicationError(
    `The device ${path} ends at ${start + bytesRead} bytes, before the disk does. Run again: a new volume is made then.`,
  );
}

async function writeDevice(
  device: FileHandle,
  path: string,
  data: Buffer,
  start: number,
): Promise<void> {
  try {
    for (let at = 0; at < data.length; ) {
      const left = data.length - at;
      at += (await device.write(data, at, left, start + at)).bytesWritten;
    }
  } catch (error) {
    throw deviceFailure("write to", path, error);
  }
}

/** Errors of earlier writes come out here, too. */
async function flush(device: FileHandle, path: string): Promise<void> {
  await device.sync().catch((error: unknown) => {
    throw deviceFailure("write to", path, error);
  });
}

async function readFully(
  file: FileHandle,
  data: Buffer,
  start: number,
): Promise<number> {
  let at = 0;
  while (at < data.length) {
    const left = data.length - at;
    const { bytesRead } = await file.read(data, at, left, start + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at;
}

function deviceFailure(
  attempt: string,
  path: string,
  error: unknown,
): PublicationError {
  const code = errorCode(error) ?? "";
  const cure = ["EACCES", "EPERM"].includes(code)
    ? "Volumes are written as root, or in the group that the device belongs to (`disk`)."
    : "Run again: what this attempt left is found then.";
  const reason = error instanceof Error ? error.message : String(error);
  return new PublicationError(
    `It was not possible to ${attempt} the device ${path}: ${reason}. ${cure}`,
    { cause: error },
  );
}
