/** What people see of a transfer. */

import type { Tell } from "./snapshotRequest.ts";

const mebibyte = 1024 ** 2;

/** At most one line in so many seconds. */
const intervalSeconds = 5;

/** Counts what goes over the network, and says so every few seconds. */
export class TransferProgress {
  readonly #verb: string;
  readonly #allBytes: number;
  readonly #tell: Tell;
  readonly #now: () => number;
  readonly #startSeconds: number;
  #lastSeconds: number;
  #doneBytes = 0;

  /**
   * @param verb what is done with the bytes: `sent`, `read back`
   * @param now seconds of a clock that only goes forward
   */
  constructor(
    verb: string,
    allBytes: number,
    tell: Tell,
    now: () => number = () => performance.now() / 1000,
  ) {
    this.#verb = verb;
    this.#allBytes = allBytes;
    this.#tell = tell;
    this.#now = now;
    this.#startSeconds = now();
    this.#lastSeconds = this.#startSeconds;
  }

  /** So many bytes more are done. */
  add(bytes: number): void {
    this.#doneBytes += bytes;
    const now = this.#now();
    if (now - this.#lastSeconds < intervalSeconds) return;
    this.#lastSeconds = now;
    const seconds = now - this.#startSeconds;
    this.#tell(
      progressLine(this.#verb, this.#doneBytes, this.#allBytes, seconds),
    );
  }
}

/** `sent 512 of 1200 MiB, 64 MiB/s, 11 s left`. Pure. */
export function progressLine(
  verb: string,
  doneBytes: number,
  allBytes: number,
  elapsedSeconds: number,
): string {
  const mebibytes = (bytes: number) => Math.round(bytes / mebibyte);
  const rate = doneBytes / elapsedSeconds;
  const left = Math.ceil((allBytes - doneBytes) / rate);
  return `${verb} ${mebibytes(doneBytes)} of ${mebibytes(allBytes)} MiB, ${mebibytes(rate)} MiB/s, ${durationText(left)} left`;
}

function durationText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return `${Math.round(seconds / 60)} min`;
}
