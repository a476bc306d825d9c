/** Pages on their way to a blob and back: some at a time, each in a piece of memory that is used again. */

import { createHash, type Hash, hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import type { Extent } from "../../store/sparseFile.ts";
import type { FoundBlob, PageBlobApi } from "./pageBlobApi.ts";
import { joined, putBytes, putsOf } from "./pagePlan.ts";

/** So many pieces are under way at a time: more are no faster on one line, and each takes 4 MiB of memory. */
export const atOnce = 8;

/**
 * Sends parts of a file, in order.
 *
 * @param claimed whose turn it is
 * @param moved called when a piece was sent
 */
export async function sendPages(
  api: PageBlobApi,
  claimed: FoundBlob,
  path: string,
  puts: readonly Extent[],
  moved: () => void = () => {},
): Promise<void> {
  await using file = await open(path, "r");
  const waiting = puts.values();
  let hasFailed = false;
  const send = async () => {
    const buffer = Buffer.allocUnsafeSlow(putBytes);
    for (const put of waiting) {
      if (hasFailed) return;
      const data = buffer.subarray(0, put.bytes);
      await readFully(file, data, put.start);
      await api.put(put, data, hash("md5", data, "buffer"), claimed);
      moved();
    }
  };
  const senders = Array.from({ length: Math.min(atOnce, puts.length) }, () =>
    send().catch((error: unknown) => {
      hasFailed = true;
      return Promise.reject(error);
    }),
  );
  // Nobody reads from the file any more when it is closed.
  for (const end of await Promise.allSettled(senders)) {
    if (end.status === "rejected") throw end.reason;
  }
}

/** What all bytes of a blob add up to: its pages as they are read, and zeros where it has none. In hex. */
export async function sha256OfPages(
  api: PageBlobApi,
  found: FoundBlob,
  sizeBytes: number,
): Promise<string> {
  const pieces = putsOf(joined(await api.ranges()));
  const buffers = Array.from({ length: atOnce }, () =>
    Buffer.allocUnsafeSlow(putBytes),
  );
  const reading: Promise<Buffer>[] = [];
  const begin = (index: number) => {
    const piece = pieces[index];
    if (piece === undefined) return;
    const data = (buffers[index % atOnce] as Buffer).subarray(0, piece.bytes);
    const read = api.get(piece, data, found).then(() => data);
    // Whoever comes to it hears of it.
    read.catch(() => {});
    reading[index] = read;
  };
  for (let index = 0; index < atOnce; index++) begin(index);
  const sum = createHash("sha256");
  let position = 0;
  for (const [index, { start, bytes }] of pieces.entries()) {
    await addZeros(sum, start - position);
    sum.update(await (reading[index] as Promise<Buffer>));
    delete reading[index];
    begin(index + atOnce);
    position = start + bytes;
  }
  await addZeros(sum, sizeBytes - position);
  return sum.digest("hex");
}

const zeros = Buffer.alloc(1024 ** 2);

async function addZeros(sum: Hash, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= zeros.length) {
    sum.update(zeros.subarray(0, Math.min(left, zeros.length)));
    // What else this process does goes on meanwhile.
    await turn();
  }
}

async function readFully(
  file: FileHandle,
  data: Buffer,
  position: number,
): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesRead } = await file.read(
      data,
      done,
      data.length - done,
      position + done,
    );
    if (bytesRead === 0) throw new Error("The file became shorter.");
    done += bytesRead;
  }
}
