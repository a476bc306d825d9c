/** Whether a file that was sent is what a bucket has now. */

import { StoreError } from "../errors.ts";
import type { Bucket } from "./bucket.ts";

/** What was sent. */
export interface SentFile {
  readonly key: string;
  readonly sizeBytes: number;
  /** By {@link Bucket.checksumOf}. */
  readonly checksum: string;
}

/** Whether the bucket has these bytes under that key. */
export async function hasFile(
  bucket: Bucket,
  { key, sizeBytes, checksum }: SentFile,
): Promise<boolean> {
  const head = await bucket.head(key);
  return head?.sizeBytes === sizeBytes && head.checksum === checksum;
}

/**
 * Looks at what was sent a moment ago.
 *
 * @throws {StoreError} when the bucket has something else, which is removed.
 */
export async function requireFile(
  bucket: Bucket,
  { key, sizeBytes, checksum }: SentFile,
): Promise<void> {
  const head = await bucket.head(key);
  if (head?.sizeBytes === sizeBytes && head.checksum === checksum) return;
  await bucket.remove(key, head?.etag);
  throw new StoreError(
    `${bucket.addressOf(key)} is not what was sent: there are ${head?.sizeBytes ?? 0} bytes with the checksum ${head?.checksum ?? "none"}, and ${sizeBytes} with ${checksum} were sent. It was removed. Run again; if it happens again, the server does not keep checksums as the service does that it stands for.`,
  );
}
