/** What stands behind {@link PageBlob}: one verified disk in one container. */

import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import pLimit, { type LimitFunction } from "p-limit";
import { type BlobAccess, containerUrl } from "../../azure/access.ts";
import { type Retries, usualRetries } from "../../azure/clients.ts";
import type { ImageVersion } from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import { PublicationError, StoreError, WrongCopyError } from "../../errors.ts";
import { openStore, storeDifference } from "../../store/openStore.ts";
import type { Verification } from "../../store/records.ts";
import { dataExtents } from "../../store/sparseFile.ts";
import type { Sha256 } from "../../store/store.ts";
import { inTurn } from "../uploads.ts";
import {
  type BlobOwner,
  blobName,
  metadataNames,
  ownerMetadata,
} from "./azureNames.ts";
import { type FoundBlob, PageBlobApi } from "./pageBlobApi.ts";
import { missingPuts, pageBytes, putsOf, totalBytes } from "./pagePlan.ts";
import { sendPages, sha256OfPages } from "./pageTransfer.ts";

/** Which disk, and where to. */
export interface PageBlobInputs extends BlobOwner {
  /** The store's address. */
  readonly store: string;
  /** The image, for messages. */
  readonly label: string;
  readonly version: ImageVersion;
  /** Of the VHD, in hex. */
  readonly sha256: string;
  /** Without credentials: those are found when they are needed. */
  readonly access: BlobAccess;
  /** How many are made at once: in the account, and of all disks and files that are sent anywhere. */
  readonly atOnce: { readonly inPlace: number; readonly inAll: number };
}

/** The blob. */
export interface PageBlobOutputs extends PageBlobInputs {
  readonly url: string;
  /** Changes with every change of the blob. */
  readonly etag: string;
  /** None while it is not whole. */
  readonly verification?: Verification | undefined;
  /** Bytes of pages that went over the network in the last run that made it. */
  readonly sentBytes: number;
  readonly problems: readonly string[];
}

/** Pulumi starts all at once: those that go to one account wait for each other, and a slow account holds up no other. */
const limits = new Map<string, LimitFunction>();

function limitOf({ access, atOnce }: PageBlobInputs): LimitFunction {
  const { account, endpoint } = access;
  const name = JSON.stringify([account, endpoint]);
  const limit = limits.get(name) ?? pLimit(atOnce.inPlace);
  limits.set(name, limit);
  return limit;
}

/** A fixed VHD is a disk of whole MiB, as Azure wants it, and its footer. */
const diskUnitBytes = 1024 ** 2;

/** Whoever holds the lock may be sending a disk of many GiB over a slow line. */
const lockPatienceSeconds = 6 * 3600;

/**
 * The resource's ways.
 *
 * @param retries how patient it is with Azure
 */
export function pageBlobs(
  retries: Retries,
): Implementation<PageBlobInputs, PageBlobOutputs> {
  const apiOf = (inputs: PageBlobInputs) =>
    new PageBlobApi(inputs.access, nameOf(inputs), retries);

  const provide = (
    inputs: PageBlobInputs,
    known?: PageBlobOutputs,
    begin = () => {},
  ) =>
    // Who waits for a lock takes no turn: another process may have it for hours.
    withBlobLock(inputs, () =>
      limitOf(inputs)(() =>
        new Provision(inputs, known, apiOf(inputs), begin).run(),
      ),
    );

  return {
    async create(inputs, begin) {
      const id = `${inputs.access.account}/${nameOf(inputs)}`;
      const { url } = apiOf(inputs);
      const problems = [`${url} is not finished`];
      const begun = { ...inputs, url, etag: "", sentBytes: 0, problems };
      const outputs = await provide(inputs, undefined, () =>
        begin?.({ id, outputs: begun }),
      );
      return { id, outputs };
    },

    async read(_id, outputs) {
      const found = await apiOf(outputs).find();
      if (found === undefined || !isOurs(found, outputs)) return undefined;
      if (outputs.verification === undefined) return outputs;
      const problems =
        found.etag === outputs.etag && isWhole(found, outputs)
          ? []
          : [`${outputs.url} was changed after it was read back`];
      return { ...outputs, problems };
    },

    diff(outputs, inputs) {
      const changed = (names: readonly (keyof PageBlobInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      const store = storeDifference(outputs.store, inputs.store);
      const isElsewhere =
        containerUrl(outputs.access) !== containerUrl(inputs.access);
      return {
        replaces: [
          ...store.replaces,
          ...changed(["stack", "key", "definition", "channel", "place"]),
          ...changed(["version", "sha256"]),
          ...(isElsewhere ? ["access"] : []),
        ],
        updates: [
          ...store.updates,
          ...(isElsewhere ? [] : changed(["access"])),
          ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ],
      };
    },

    update(_id, outputs, inputs) {
      return provide(inputs, outputs);
    },

    async delete(_id, outputs) {
      await withBlobLock(outputs, async () => {
        const api = apiOf(outputs);
        const found = await api.find();
        if (found === undefined) return;
        if (isOurs(found, outputs)) await api.remove(found);
        else {
          tell(
            outputs,
            `${outputs.url} stays, as it does not have our metadata any more`,
          );
        }
      });
    },
  };
}

export const implementation = pageBlobs(usualRetries);

/** What a run comes to. */
interface Proven extends Pick<PageBlobOutputs, "etag" | "sentBytes"> {
  readonly verification: Verification;
}

/** One run for one blob, under the lock. */
class Provision {
  readonly #inputs: PageBlobInputs;
  readonly #known: PageBlobOutputs | undefined;
  readonly #api: PageBlobApi;
  readonly #begin: () => void;

  constructor(
    inputs: PageBlobInputs,
    known: PageBlobOutputs | undefined,
    api: PageBlobApi,
    begin: () => void,
  ) {
    this.#inputs = inputs;
    this.#known = known;
    this.#api = api;
    this.#begin = begin;
  }

  async run(): Promise<PageBlobOutputs> {
    const proven = (await this.#proven()) ?? (await this.#made());
    return {
      ...this.#inputs,
      ...proven,
      url: this.#api.url,
      problems: [],
    };
  }

  /** What the last run verified, and nobody changed since. */
  async #proven(): Promise<Proven | undefined> {
    const {
      sha256,
      etag = "",
      verification,
      sentBytes = 0,
    } = this.#known ?? {};
    if (verification === undefined || sha256 !== this.#inputs.sha256) {
      return undefined;
    }
    const found = await this.#api.find();
    if (found?.etag !== etag || !isWhole(found, this.#inputs)) {
      return undefined;
    }
    return { etag, verification, sentBytes };
  }

  async #made(): Promise<Proven> {
    const { store, sha256 } = this.#inputs;
    const path = await openStore(store).file(sha256 as Sha256);
    const sizeBytes = await this.#sizeOf(path);
    const claimed = await this.#claimed(sizeBytes);
    const sentBytes = await this.#send(path, claimed);
    const read = await this.#readBack(sizeBytes);
    const first = await this.#judged(read, sizeBytes, sentBytes);
    if (first !== undefined) return first;
    // What another run left is not what it was to be: all of it is sent again, once.
    const anew = await this.#claimed(sizeBytes);
    const sentAgain = sentBytes + (await this.#send(path, anew));
    const readAgain = await this.#readBack(sizeBytes);
    const second = await this.#judged(readAgain, sizeBytes, sentAgain);
    if (second !== undefined) return second;
    throw new WrongCopyError(
      `${this.#api.url} is not what was sent: its sha256 is ${readAgain.sha256} instead of ${sha256}. It was removed. Run again; if it happens again, look at the memory of this machine and at a proxy on the way.`,
    );
  }

  async #sizeOf(path: string): Promise<number> {
    const { size } = await stat(path);
    if (size % diskUnitBytes === pageBytes) return size;
    throw new StoreError(
      `The VHD of ${this.#inputs.label} has ${size} bytes, and Azure takes disks of whole MiB with a footer of ${pageBytes} bytes. Run: scripts/pulumi up --refresh`,
    );
  }

  /** A blob of this disk's size that nobody else writes to: a new one, or what another run left. */
  async #claimed(sizeBytes: number): Promise<FoundBlob> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const found = await this.#api.find();
      this.#begin();
      const left = found && (await this.#takenOver(found, sizeBytes));
      // It may be there after all: an answer was lost, or another run was faster.
      const claimed =
        left ?? (await this.#api.create(sizeBytes, this.#metadata("sending")));
      if (claimed !== undefined) return claimed;
    }
    throw new PublicationError(
      `${this.#api.url} comes and goes while it is made: somebody else works on it. Run again when that has ended.`,
    );
  }

  /** Goes on with what is there, or clears it away where it is for another disk. */
  async #takenOver(
    found: FoundBlob,
    sizeBytes: number,
  ): Promise<FoundBlob | undefined> {
    if (!isOurs(found, this.#inputs)) {
      throw new PublicationError(
        `${this.#api.url} is there already, and does not carry this stack's metadata: it is somebody else's, and was not touched. Remove it, or give the place ${this.#inputs.place} another container.`,
      );
    }
    const isForThis =
      found.sizeBytes === sizeBytes &&
      found.metadata[metadataNames.sha256] === this.#inputs.sha256;
    if (isForThis) {
      this.#tell("going on with what is there");
      return this.#api.claim(found);
    }
    this.#tell("removing what is there, which is of another disk");
    await this.#api.remove(found);
    return undefined;
  }

  async #send(path: string, claimed: FoundBlob): Promise<number> {
    const puts = putsOf(await dataExtents(path));
    const missing = missingPuts(puts, await this.#api.ranges());
    const bytes = totalBytes(missing);
    await inTurn(this.#inputs.atOnce.inAll, ({ moved }) => {
      this.#tell(`sending ${Math.ceil(bytes / 1024 ** 2)} MiB`);
      return sendPages(this.#api, claimed, path, missing, moved);
    });
    return bytes;
  }

  async #readBack(
    sizeBytes: number,
  ): Promise<{ readonly sha256: string; readonly found: FoundBlob }> {
    this.#tell("reading it back");
    const found = await this.#api.find();
    if (found === undefined) {
      throw new PublicationError(
        `${this.#api.url} was removed by somebody while it was made. Run again.`,
      );
    }
    const sha256 = await sha256OfPages(this.#api, found, sizeBytes);
    return { sha256, found };
  }

  /** Calls a right one whole, and removes a wrong one. */
  async #judged(
    { sha256, found }: { readonly sha256: string; readonly found: FoundBlob },
    sizeBytes: number,
    sentBytes: number,
  ): Promise<Proven | undefined> {
    if (sha256 !== this.#inputs.sha256) {
      this.#tell("removing it, as it is not the disk");
      await this.#api.remove(found);
      return undefined;
    }
    const etag = await this.#api.describe(found, this.#metadata("whole"));
    const blocks = Math.ceil(sizeBytes / diskUnitBytes);
    const verification = {
      sha256: sha256 as Sha256,
      ...{ readBlocks: blocks, allBlocks: blocks },
      verifiedAt: new Date().toISOString(),
    };
    return { etag, verification, sentBytes };
  }

  #metadata(state: "sending" | "whole"): Readonly<Record<string, string>> {
    return {
      ...ownerMetadata(this.#inputs),
      [metadataNames.version]: this.#inputs.version,
      [metadataNames.sha256]: this.#inputs.sha256,
      [metadataNames.state]: state,
    };
  }

  #tell(line: string): void {
    tell(this.#inputs, line);
  }
}

function isOurs({ metadata }: FoundBlob, owner: BlobOwner): boolean {
  return Object.entries(ownerMetadata(owner)).every(
    ([name, value]) => metadata[name] === value,
  );
}

function isWhole(found: FoundBlob, inputs: PageBlobInputs): boolean {
  return (
    isOurs(found, inputs) &&
    found.metadata[metadataNames.state] === "whole" &&
    found.metadata[metadataNames.sha256] === inputs.sha256
  );
}

function nameOf({ version, ...inputs }: PageBlobInputs): string {
  return blobName(inputs, version);
}

/** Runs where nobody else who has the store works on the same blob; others are kept off by its sequence number. */
function withBlobLock<T>(
  inputs: PageBlobInputs,
  use: () => Promise<T>,
): Promise<T> {
  const digest = createHash("sha256")
    .update(JSON.stringify([containerUrl(inputs.access), nameOf(inputs)]))
    .digest("hex");
  return openStore(inputs.store).withLock(
    `azure-blob-${digest.slice(0, 32)}`,
    lockPatienceSeconds,
    use,
  );
}

function tell({ label, place }: PageBlobInputs, line: string): void {
  console.log(`${label} in ${place}: ${line}`);
}
