/** What stands behind {@link EbsSnapshot}: one verified snapshot of an image in one region of one account. */

import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import {
  CreateTagsCommand,
  DeleteTagsCommand,
  type Snapshot,
} from "@aws-sdk/client-ec2";
import pLimit, { type LimitFunction } from "p-limit";
import { type AwsAccess, isAnotherPlace } from "../../aws/access.ts";
import { checkAccount } from "../../aws/account.ts";
import type {
  DefinitionName,
  ImageKey,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import { StoreError, WrongCopyError } from "../../errors.ts";
import { sha256OfFile } from "../../store/digest.ts";
import { openStore } from "../../store/openStore.ts";
import type { Verification } from "../../store/records.ts";
import type { Sha256 } from "../../store/store.ts";
import { inTurn } from "../uploads.ts";
import { checkNameIsFree } from "./amis.ts";
import { type MethodName, snapshotMethods } from "./snapshotMethods.ts";
import type {
  ReadBackExtent,
  SnapshotEncryption,
  SnapshotMethod,
  SnapshotRequest,
  Tell,
  ZeroBlocks,
} from "./snapshotRequest.ts";
import {
  deleteSnapshot,
  deleteSnapshotsWithTags,
  type Ec2Caller,
  ec2Caller,
  findSnapshot,
  snapshotsWithTags,
  usualInUseSeconds,
} from "./snapshots.ts";
import {
  apiTags,
  carriesTags,
  identityTags,
  imageTags,
  tagNames,
} from "./tags.ts";

/** Which image, where to, and how. */
export interface EbsSnapshotInputs {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  readonly definition: DefinitionName;
  /** The image's name, for messages. */
  readonly label: string;
  /** None while the image is one that failed and was allowed to; so is the raw image. */
  readonly version?: ImageVersion | undefined;
  readonly rawSha256?: string | undefined;
  /** The target's name in the stack's configuration; inputs of old do not say it. */
  readonly place?: string | undefined;
  readonly access: AwsAccess;
  readonly method: MethodName;
  readonly zeroBlocks: ZeroBlocks;
  readonly encryption?: SnapshotEncryption | undefined;
  readonly readBack: ReadBackExtent;
  /** Name of the AMI that the snapshot is for: it must be free, or that of this image, before anything is sent. */
  readonly amiName: string;
  /** More tags, of the user's. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** How many are made at once: in the region, and of all disks and files that are sent anywhere. */
  readonly atOnce: { readonly inPlace: number; readonly inAll: number };
}

/** The snapshot; none while there is no image. */
export interface EbsSnapshotOutputs extends EbsSnapshotInputs {
  readonly snapshotId?: string | undefined;
  readonly volumeSizeGiB?: number | undefined;
  /** Bytes of the disk that went over the network in the last run that made it. */
  readonly sentBytes: number;
  readonly verification?: Verification | undefined;
  readonly problems: readonly string[];
}

/** What there is to make when there is an image. */
type Published = EbsSnapshotInputs & {
  readonly version: ImageVersion;
  readonly rawSha256: Sha256;
};

/** Whoever holds the lock may be sending a disk of many GiB over a slow line. */
const lockPatienceSeconds = 6 * 3600;

/** Pulumi starts all at once: those that go to one region wait for each other, and a slow one holds up no other. */
const limits = new Map<string, LimitFunction>();

function limitOf({ access, atOnce }: EbsSnapshotInputs): LimitFunction {
  const name = JSON.stringify(access);
  const limit = limits.get(name) ?? pLimit(atOnce.inPlace);
  limits.set(name, limit);
  return limit;
}

export const implementation: Implementation<
  EbsSnapshotInputs,
  EbsSnapshotOutputs
> = {
  async create(inputs, begin) {
    const { access, amiName, label } = inputs;
    const id = `${access.region}/${amiName}`;
    const problems = [
      `the snapshot of ${label} in ${access.region} is not finished`,
    ];
    const begun = { ...inputs, sentBytes: 0, problems };
    const outputs = await provide(inputs, undefined, () =>
      begin?.({ id, outputs: begun }),
    );
    return { id, outputs };
  },

  async read(_id, outputs) {
    const { access, snapshotId } = outputs;
    if (snapshotId === undefined && !isPublished(outputs)) return undefined;
    await checkAccount(access);
    if (snapshotId === undefined) {
      const way = await snapshotMethods[outputs.method]();
      // What there may be besides snapshots is for `delete` to find.
      if (way.removeRemains !== undefined) return outputs;
      const found = await snapshotsWithTags(
        ec2Caller(access),
        identityTags(outputs),
      );
      return found.length === 0 ? undefined : outputs;
    }
    const snapshot = await findSnapshot(ec2Caller(access), snapshotId);
    if (snapshot === undefined) return undefined;
    return { ...outputs, problems: problemsOf(snapshot, outputs) };
  },

  diff(outputs, inputs) {
    // What there is stays while nothing better can be had.
    if (!isPublished(inputs)) return { replaces: [], updates: [] };
    const changed = (names: readonly (keyof EbsSnapshotInputs)[]) =>
      names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
    const isElsewhere = isAnotherPlace(outputs.access, inputs.access);
    const isMade = outputs.snapshotId !== undefined;
    return {
      replaces: [
        ...changed(["stack", "key", "definition", "amiName"]),
        ...(isElsewhere ? ["access"] : []),
        ...(isMade
          ? changed(["version", "rawSha256", "zeroBlocks", "encryption"])
          : []),
        // A method finds what it had begun, and not what another one had.
        ...(!isMade && isPublished(outputs) ? changed(["method"]) : []),
      ],
      updates: [
        ...changed(["tags", "readBack", "store", "method"]),
        // Another profile or role leads to the same account.
        ...(isElsewhere ? [] : changed(["access"])),
        ...(isMade ? [] : ["version"]),
        ...(outputs.problems.length === 0 ? [] : ["problems"]),
      ],
    };
  },

  update(_id, outputs, inputs) {
    return provide(inputs, outputs);
  },

  async delete(_id, outputs) {
    const { access, label } = outputs;
    const tell = teller(outputs);
    await checkAccount(access);
    const ec2 = ec2Caller(access);
    await withLock(outputs, async () => {
      const ours = await deleteSnapshotsWithTags(
        ...([ec2, identityTags(outputs), usualInUseSeconds] as const),
      );
      const way = await snapshotMethods[outputs.method]();
      await way.removeRemains?.(access, identityTags(outputs));
      const { snapshotId = "" } = outputs;
      if (ours.includes(snapshotId)) return;
      if ((await findSnapshot(ec2, snapshotId)) === undefined) return;
      tell(
        `the snapshot ${snapshotId} stays, as it does not carry the tags of ${label} any more`,
      );
    });
  },
};

/** Finds the snapshot, or makes it; `known` is what the last run found or made. */
async function provide(
  inputs: EbsSnapshotInputs,
  known?: EbsSnapshotOutputs,
  begin = () => {},
): Promise<EbsSnapshotOutputs> {
  if (!isPublished(inputs)) {
    return known ?? { ...inputs, sentBytes: 0, problems: [] };
  }
  await checkAccount(inputs.access);
  // Who waits for a lock takes no turn: another process may have it for hours.
  return withLock(inputs, () =>
    limitOf(inputs)(() => new Provision(inputs, known, begin).run()),
  );
}

/** One run for one snapshot, under the lock. */
class Provision {
  readonly #inputs: Published;
  readonly #known: EbsSnapshotOutputs | undefined;
  readonly #ec2: Ec2Caller;
  readonly #tell: Tell;
  readonly #begin: () => void;

  constructor(
    inputs: Published,
    known: EbsSnapshotOutputs | undefined,
    begin: () => void,
  ) {
    this.#inputs = inputs;
    this.#known = known;
    this.#ec2 = ec2Caller(inputs.access);
    this.#tell = teller(inputs);
    this.#begin = begin;
  }

  async run(): Promise<EbsSnapshotOutputs> {
    const { access, amiName, method, atOnce } = this.#inputs;
    const identity = identityTags(this.#inputs);
    const found = await snapshotsWithTags(this.#ec2, identity);
    const ids = found.map(({ SnapshotId }) => SnapshotId ?? "");
    await checkNameIsFree(this.#ec2, access.region, amiName, identity, ids);
    this.#begin();
    const healed = await this.#heal();
    if (healed !== undefined) return healed;
    const request = await this.#request();
    const way = await snapshotMethods[method]();
    const adopted = await this.#adopt(request, way, found);
    if (adopted !== undefined) return adopted;
    const { snapshotId, volumeSizeGiB, sentBytes } = await inTurn(
      atOnce.inAll,
      ({ moved }) => way.make({ ...request, moved }, this.#tell),
    );
    const verification = await this.#verify(request, way, snapshotId);
    return this.#finished({
      ...{ snapshotId, volumeSizeGiB, sentBytes, verification },
    });
  }

  /** What the last run verified cannot have changed: nobody can write to a snapshot. Its tags can. */
  async #heal(): Promise<EbsSnapshotOutputs | undefined> {
    const { snapshotId, rawSha256, verification, readBack, tags, sentBytes } =
      this.#known ?? {};
    const isProven =
      verification !== undefined &&
      rawSha256 === this.#inputs.rawSha256 &&
      isDeepStrictEqual(readBack, this.#inputs.readBack);
    if (!isProven || snapshotId === undefined) return undefined;
    const snapshot = await findSnapshot(this.#ec2, snapshotId);
    if (snapshot?.State !== "completed") return undefined;
    const gone = Object.keys(tags ?? {}).filter(
      (name) => this.#inputs.tags?.[name] === undefined,
    );
    await this.#tag(snapshot, gone);
    return this.#finished({
      ...{ snapshotId, verification },
      volumeSizeGiB: snapshot.VolumeSize,
      sentBytes: sentBytes ?? 0,
    });
  }

  async #tag(snapshot: Snapshot, goneNames: readonly string[]): Promise<void> {
    const { SnapshotId = "", Tags } = snapshot;
    const wanted = allTags(this.#inputs);
    const Resources = [SnapshotId];
    const gone = goneNames.filter((name) => wanted[name] === undefined);
    if (gone.length > 0) {
      const input = { Resources, Tags: gone.map((Key) => ({ Key })) };
      await this.#ec2.call(`take tags from the snapshot ${SnapshotId}`, (ec2) =>
        ec2.send(new DeleteTagsCommand(input)),
      );
    }
    if (carriesTags(Tags, wanted)) return;
    const input = { Resources, Tags: apiTags(wanted) };
    await this.#ec2.call(`tag the snapshot ${SnapshotId}`, (ec2) =>
      ec2.send(new CreateTagsCommand(input)),
    );
  }

  /** A whole one that is there already, of which the state does not know; those that are not whole are removed. */
  async #adopt(
    request: SnapshotRequest,
    way: SnapshotMethod,
    found: readonly Snapshot[],
  ): Promise<EbsSnapshotOutputs | undefined> {
    for (const snapshot of found) {
      const { SnapshotId: snapshotId, State, Tags, Encrypted } = snapshot;
      const isCandidate =
        State === "completed" &&
        carriesTags(Tags, fixedTags(this.#inputs)) &&
        (request.encryption === undefined || Encrypted === true);
      if (!isCandidate || snapshotId === undefined) continue;
      this.#tell(`reading the snapshot ${snapshotId}, which is there already`);
      try {
        const verification = await this.#verify(request, way, snapshotId);
        await this.#tag(snapshot, []);
        for (const { SnapshotId: other } of found) {
          if (other === undefined || other === snapshotId) continue;
          await deleteSnapshot(this.#ec2, other, usualInUseSeconds);
        }
        await way.removeRemains?.(request.access, request.identityTags);
        const volumeSizeGiB = snapshot.VolumeSize;
        const sentBytes = 0;
        return this.#finished({
          ...{ snapshotId, volumeSizeGiB, sentBytes, verification },
        });
      } catch (error) {
        if (!(error instanceof WrongCopyError)) throw error;
        this.#tell(error.message);
      }
    }
    return undefined;
  }

  /** A snapshot that holds something else goes: it would be found again by the next run. */
  async #verify(
    request: SnapshotRequest,
    way: SnapshotMethod,
    snapshotId: string,
  ): Promise<Verification> {
    try {
      const extent = this.#inputs.readBack;
      return await way.readBack({ ...request, snapshotId, extent }, this.#tell);
    } catch (error) {
      if (error instanceof WrongCopyError) {
        await this.#checkOwnImage(request);
        await deleteSnapshot(this.#ec2, snapshotId, usualInUseSeconds);
      }
      throw error;
    }
  }

  /** It takes two for a difference. */
  async #checkOwnImage({ rawSha256, label }: SnapshotRequest): Promise<void> {
    const store = openStore(this.#inputs.store);
    const state = await store.examine(rawSha256);
    if (state === "sound") return;
    throw new StoreError(
      `The raw image of ${label} in ${store.location} is ${state}. Run: scripts/pulumi up --refresh`,
    );
  }

  async #request(): Promise<SnapshotRequest> {
    const { access, label, rawSha256, definition, version } = this.#inputs;
    const { encryption, zeroBlocks } = this.#inputs;
    const rawPath = await openStore(this.#inputs.store).file(rawSha256);
    const { size: sizeBytes } = await stat(rawPath);
    await this.#checkRaw(rawPath, rawSha256);
    return {
      ...{ access, label, rawPath, rawSha256, sizeBytes },
      ...{ encryption, zeroBlocks },
      token: digestOf([placeOf(this.#inputs), rawSha256]),
      description: `${definition} ${version}, sha256 ${rawSha256}`,
      tags: allTags(this.#inputs),
      identityTags: identityTags(this.#inputs),
    };
  }

  /** What is read back whole is compared with the image's sha256 itself; a sample is compared with this file. */
  async #checkRaw(rawPath: string, rawSha256: Sha256): Promise<void> {
    if (this.#inputs.readBack === "all") return;
    const { sha256 } = await sha256OfFile(rawPath);
    if (sha256 === rawSha256) return;
    throw new StoreError(
      `The raw image of ${this.#inputs.label} (${rawPath}) is not ${rawSha256} any more. Run: scripts/pulumi up --refresh`,
    );
  }

  #finished(
    made: Pick<
      EbsSnapshotOutputs,
      "snapshotId" | "volumeSizeGiB" | "sentBytes" | "verification"
    >,
  ): EbsSnapshotOutputs {
    return { ...this.#inputs, ...made, problems: [] };
  }
}

function isPublished(inputs: EbsSnapshotInputs): inputs is Published {
  return inputs.version !== undefined && inputs.rawSha256 !== undefined;
}

function problemsOf(
  { SnapshotId, State, Tags }: Snapshot,
  outputs: EbsSnapshotOutputs,
): readonly string[] {
  const hasTags = !isPublished(outputs) || carriesTags(Tags, allTags(outputs));
  return [
    ...(State === "completed"
      ? []
      : [`the snapshot ${SnapshotId} is ${State} instead of completed`]),
    ...(hasTags
      ? []
      : [`the snapshot ${SnapshotId} has lost some of its tags`]),
  ];
}

/** Tags that say how a snapshot was made: another one is needed when they change. */
function fixedTags(inputs: Published): Readonly<Record<string, string>> {
  return {
    ...imageTags(inputs),
    [tagNames.zeroBlocks]: inputs.zeroBlocks,
  };
}

function allTags(inputs: Published): Readonly<Record<string, string>> {
  return { ...inputs.tags, ...fixedTags(inputs) };
}

/** Runs where nobody else, in this process or another, works on the same snapshot. */
function withLock<T>(
  inputs: EbsSnapshotInputs,
  use: () => Promise<T>,
): Promise<T> {
  const name = `ec2-snapshot-${digestOf(placeOf(inputs)).slice(0, 32)}`;
  return openStore(inputs.store).withLock(name, lockPatienceSeconds, use);
}

/** What no two snapshots have in common. */
function placeOf({ stack, key, amiName, access }: EbsSnapshotInputs) {
  const { region, endpoint } = access;
  return [stack, key, amiName, region, endpoint ?? ""];
}

function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function teller({ label, access }: EbsSnapshotInputs): Tell {
  return (line) => console.log(`${label} in ${access.region}: ${line}`);
}
