/**
 * `azure`: what it takes to get an image into a page blob, ours beside a plain loop.
 *
 * Both send the pages of a sparse image to the same Azurite on this machine, as many at a time, with an MD5 each. The loop
 * knows the data beforehand and does nothing else; ours finds it, and reads the blob back afterwards, which is measured
 * apart. `sendSeconds` are without the start of Node.
 */

import { createHash } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { containerClient } from "../infra/azure/clients.ts";
import { totalBytes } from "../infra/platforms/azure/pagePlan.ts";
import type { Extent } from "../infra/store/sparseFile.ts";
import {
  azuriteAccount,
  azuriteSecretFrom,
  startAzurite,
  useAzuriteKey,
} from "../tests/servers/azurite.ts";
import { type Benchmark, measureSide } from "./benchmark.ts";
import { type Comparison, isMeasured } from "./results.ts";
import type { SendPagesRequest, SendPagesResult } from "./sides/sendPages.ts";

const mebibyte = 1024 ** 2;
/** As large as Debian's own images for Azure are. */
const sizeBytes = 30 * 1024 * mebibyte + 512;
/** 512 MiB, in pieces of 8 MiB all over the disk, and the footer: as much as an image has. */
const data: readonly Extent[] = [
  ...Array.from({ length: 64 }, (_, index) => ({
    start: index * 480 * mebibyte,
    bytes: 8 * mebibyte,
  })),
  { start: sizeBytes - 512, bytes: 512 },
];

export const azure: Benchmark = {
  summary:
    "sending a sparse image of 30 GiB to a page blob, beside a plain loop",

  async run(context) {
    const path = join(context.directory, "disk.vhd");
    await makeDisk(path);
    const blobs = join(context.directory, "azurite");
    await mkdir(blobs);
    await using azurite = await startAzurite(blobs);
    useAzuriteKey();
    const access = {
      ...{ account: azuriteAccount, container: "bench" },
      ...{ secretFrom: azuriteSecretFrom, endpoint: azurite.url },
    };
    await (await containerClient(access)).create();
    const send = (label: string, way: SendPagesRequest["way"]) =>
      measureSide<SendPagesResult>(
        context,
        `azure, ${label}`,
        new URL("sides/sendPages.ts", import.meta.url),
        { way, path, sizeBytes, data, access } satisfies SendPagesRequest,
      );
    const ours = await send("cloud-images", "ours");
    const theirs = await send("a plain loop", "loop");
    return [comparisonOf(ours, theirs)];
  },
};

interface Sent {
  readonly side: Comparison["ours"];
  readonly result?: SendPagesResult;
}

/** Both ways, with what is asked of ours. */
export function comparisonOf(ours: Sent, theirs: Sent): Comparison {
  const comparison = {
    name: "azure",
    labels: { ours: "cloud-images", theirs: "a plain loop" },
    ...{ ours: ours.side, theirs: theirs.side },
  };
  if (ours.result === undefined || theirs.result === undefined) {
    return comparison;
  }
  const rounded = (value: number) => Number(value.toFixed(3));
  const sentRatio = rounded(ours.result.sentBytes / totalBytes(data));
  const throughputRatio = rounded(
    theirs.result.sendSeconds / ours.result.sendSeconds,
  );
  const peak = isMeasured(ours.side) ? ours.side.peakMemoryMiB : Number.NaN;
  return {
    ...comparison,
    details: {
      ...{ sentRatio, throughputRatio },
      sendSeconds: [ours.result.sendSeconds, theirs.result.sendSeconds],
      readSeconds: ours.result.readSeconds,
    },
    notes: [
      `${sentRatio} bytes are sent for each byte of data (at most 1.05)`,
      `${throughputRatio} of the throughput of the loop, finding the data included`,
      `${rounded(ours.result.readSeconds)} s more to read all of it back`,
      `${Math.round(peak)} MiB of memory at the peak`,
    ],
  };
}

/** Every piece is another one; what is in it does not matter, but that it is not zeros. */
async function makeDisk(path: string): Promise<void> {
  await using file = await open(path, "w");
  for (const { start, bytes } of data) {
    const seed = createHash("sha256").update(String(start)).digest();
    await file.write(Buffer.alloc(bytes, seed), 0, bytes, start);
  }
  await file.truncate(sizeBytes);
  await file.sync();
}
