/** A disk on its way into a page blob: by the project, or by the shortest loop that sends the same pages. */

import { hash } from "node:crypto";
import { open } from "node:fs/promises";
import type { BlobAccess } from "../../infra/azure/access.ts";
import { containerClient, usualRetries } from "../../infra/azure/clients.ts";
import { PageBlobApi } from "../../infra/platforms/azure/pageBlobApi.ts";
import {
  putBytes,
  putsOf,
  totalBytes,
} from "../../infra/platforms/azure/pagePlan.ts";
import {
  atOnce,
  sendPages,
  sha256OfPages,
} from "../../infra/platforms/azure/pageTransfer.ts";
import { dataExtents, type Extent } from "../../infra/store/sparseFile.ts";
import { useAzuriteKey } from "../../tests/servers/azurite.ts";
import { answer } from "./answer.ts";

export interface SendPagesRequest {
  readonly way: "ours" | "loop";
  readonly path: string;
  readonly sizeBytes: number;
  /** For the loop; ours finds it. */
  readonly data: readonly Extent[];
  readonly access: BlobAccess;
}

export interface SendPagesResult {
  readonly sentBytes: number;
  /** Until the last page was taken. */
  readonly sendSeconds: number;
  /** Of reading it back, which the loop does not do. */
  readonly readSeconds: number;
}

useAzuriteKey();

await answer((request: SendPagesRequest) =>
  request.way === "ours" ? ours(request) : loop(request),
);

async function ours({
  path,
  sizeBytes,
  access,
}: SendPagesRequest): Promise<SendPagesResult> {
  const started = performance.now();
  const api = new PageBlobApi(access, "ours.vhd", usualRetries);
  const claimed = await api.create(sizeBytes, {});
  if (claimed === undefined) throw new Error("The blob is there already.");
  const puts = putsOf(await dataExtents(path));
  await sendPages(api, claimed, path, puts);
  const sent = performance.now();
  const found = await api.find();
  if (found === undefined) throw new Error("The blob has gone.");
  await sha256OfPages(api, found, sizeBytes);
  return {
    sentBytes: totalBytes(puts),
    sendSeconds: (sent - started) / 1000,
    readSeconds: (performance.now() - sent) / 1000,
  };
}

async function loop({
  path,
  sizeBytes,
  data,
  access,
}: SendPagesRequest): Promise<SendPagesResult> {
  const started = performance.now();
  const blob = (await containerClient(access)).getPageBlobClient("loop.vhd");
  await blob.create(sizeBytes);
  const puts = putsOf(data);
  const waiting = puts.values();
  await using file = await open(path, "r");
  const send = async () => {
    const buffer = Buffer.allocUnsafeSlow(putBytes);
    for (const { start, bytes } of waiting) {
      await file.read(buffer, 0, bytes, start);
      const page = buffer.subarray(0, bytes);
      await blob.uploadPages(page, start, bytes, {
        transactionalContentMD5: hash("md5", page, "buffer"),
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, send));
  const sendSeconds = (performance.now() - started) / 1000;
  return { sentBytes: totalBytes(puts), sendSeconds, readSeconds: 0 };
}
