/** What stands behind {@link GceImage}: one verified image in one project, and its record. */

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import pLimit, { type LimitFunction } from "p-limit";
import type {
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import {
  PublicationError,
  StoreError,
  UserError,
  WrongCopyError,
} from "../../errors.ts";
import type { GoogleAccess } from "../../google/access.ts";
import type { StorageRetries } from "../../google/clients.ts";
import {
  ComputeApi,
  type ComputeImage,
  type Patience,
  usualPatience,
} from "../../google/computeApi.ts";
import { failureKind } from "../../google/failures.ts";
import {
  type PublicationId,
  readBuild,
  readPublication,
  removePublication,
  writePublication,
} from "../../store/documents.ts";
import { openStore, storeDifference } from "../../store/openStore.ts";
import type {
  BuildRecord,
  PublicationRecord,
  Verification,
} from "../../store/records.ts";
import type { Sha256, Store } from "../../store/store.ts";
import { claimOfAnother } from "../claim.ts";
import {
  carriesLabels,
  fileLabels,
  type GuestFeature,
  generationLabel,
  identityLabels,
  imageNameOf,
  seriesLabels,
} from "./gceNames.ts";
import {
  digestsOfSource,
  isOf,
  type ObjectFacts,
  type SourceDigests,
  SourceObject,
} from "./sourceObject.ts";

/** Which image, where to, and what is said of it there. */
export interface GceImageInputs {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  readonly definition: DefinitionName;
  readonly channel: ImageType;
  /** The image's name, for messages. */
  readonly label: string;
  /** The target's name in the stack's configuration. */
  readonly place: string;
  /** Without credentials: those are the environment's. */
  readonly access: GoogleAccess;
  readonly bucket: string;
  /** What the name of the object begins with. */
  readonly prefix: string;
  /** None while the image is one that failed and was allowed to; so is the file. */
  readonly version?: ImageVersion | undefined;
  /** Of the tar.gz, in hex. */
  readonly sha256?: string | undefined;
  readonly architecture: "X86_64" | "ARM64";
  readonly guestOsFeatures: readonly GuestFeature[];
  readonly licenses: readonly string[];
  /** More labels, of the user's. */
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
  readonly storageLocation?: string | undefined;
  /** That it is to be promoted in: nobody else may have it. */
  readonly family: string;
  /** How many are made at once: in the place, and of all files that are sent anywhere. */
  readonly atOnce: { readonly inPlace: number; readonly inAll: number };
}

/** The image; none while there is no build. */
export interface GceImageOutputs extends GceImageInputs {
  readonly imageName?: string | undefined;
  readonly imageId?: string | undefined;
  /** Bytes of the file that went over the network in the last run that made it. */
  readonly sentBytes: number;
  readonly verification?: Verification | undefined;
  readonly problems: readonly string[];
}

/** What there is to make when there is a build. */
type Published = GceImageInputs & {
  readonly version: ImageVersion;
  readonly sha256: Sha256;
};

/** How patient it is. */
export interface GceSettings {
  readonly patience: Patience;
  /** The library's own when left out. */
  readonly retries?: StorageRetries;
}

/** Pulumi starts all at once: those that go to one project wait for each other, and a slow project holds up no other. */
const limits = new Map<string, LimitFunction>();

function limitOf({ access, atOnce }: GceImageInputs): LimitFunction {
  const { project, endpoint } = access;
  const name = JSON.stringify([project, endpoint]);
  const limit = limits.get(name) ?? pLimit(atOnce.inPlace);
  limits.set(name, limit);
  return limit;
}

/** Whoever holds the lock may be sending a disk of many GiB over a slow line. */
const lockPatienceSeconds = 6 * 3600;

/** Disks of images have a whole number of them (Manually import boot disks, requirements). */
const gibibyte = 1024 ** 3;

/** A record counts blocks; Cloud Storage has summed up all of them. */
const blockBytes = 1024 ** 2;

/** Between two looks at an image that is being made. */
const settlePauseMilliseconds = 2000;

/**
 * The resource's ways.
 *
 * @param settings how patient it is with Google Cloud
 */
export function gceImages(
  settings: GceSettings,
): Implementation<GceImageInputs, GceImageOutputs> {
  const provide = async (
    inputs: GceImageInputs,
    known?: GceImageOutputs,
    begin = () => {},
  ): Promise<GceImageOutputs> => {
    if (!isPublished(inputs)) {
      return known ?? { ...inputs, sentBytes: 0, problems: [] };
    }
    // Who waits for a lock takes no turn: another process may have it for hours.
    return withLock(inputs, () =>
      limitOf(inputs)(async () => {
        const api = await ComputeApi.open(inputs.access, settings.patience);
        return new Provision(inputs, known, api, settings, begin).run();
      }),
    );
  };

  return {
    async create(inputs, begin) {
      const { place, definition, key, label } = inputs;
      const id = `${place}/${definition}/${key.slice(0, 12)}`;
      const problems = [`${label} is not finished in ${place}`];
      const begun = { ...inputs, sentBytes: 0, problems };
      const outputs = await provide(inputs, undefined, () =>
        begin?.({ id, outputs: begun }),
      );
      return { id, outputs };
    },

    async read(_id, outputs) {
      if (!isPublished(outputs)) return undefined;
      const { imageName, imageId } = outputs;
      const api = await ComputeApi.open(outputs.access, settings.patience);
      if (imageName === undefined) {
        const images = await api.images();
        const remains =
          images.find((image) => isMarked(image, outputs)) ??
          (await ownSource(outputs, settings));
        return remains && outputs;
      }
      const image = await api.findImage(imageName);
      if (image === undefined || image.id !== imageId) return undefined;
      const store = openStore(outputs.store);
      const record = await readPublication(store, recordIdOf(outputs));
      const problems = [
        ...problemsOf(image, outputs),
        ...(record?.names?.imageId === image.id
          ? []
          : [`the store has no record of ${imageName}`]),
      ];
      return { ...outputs, problems };
    },

    diff(outputs, inputs) {
      // What there is stays while nothing better can be had.
      if (!isPublished(inputs)) return { replaces: [], updates: [] };
      const changed = (names: readonly (keyof GceImageInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      const isMade = outputs.imageId !== undefined;
      const isElsewhere =
        outputs.access.project !== inputs.access.project ||
        outputs.access.endpoint !== inputs.access.endpoint;
      const store = storeDifference(outputs.store, inputs.store);
      return {
        replaces: [
          ...store.replaces,
          ...changed(["stack", "key", "definition", "channel", "place"]),
          ...(isElsewhere ? ["access"] : []),
          // The other ones count from the next version on: an image that is in use is not given up for them.
          ...(isMade ? changed(["version", "sha256", "architecture"]) : []),
          // What was begun is found by these.
          ...(!isMade && isPublished(outputs)
            ? changed(["version", "sha256", "bucket", "prefix"])
            : []),
        ],
        updates: [
          ...store.updates,
          ...changed(["labels", "description", "family", "bucket", "prefix"]),
          // Another service account leads to the same project.
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
      await withLock(outputs, async () => {
        const store = openStore(outputs.store);
        if (isPublished(outputs)) {
          const id = recordIdOf(outputs);
          const record = await readPublication(store, id);
          if (record && claimOfAnother(outputs, record) === undefined) {
            await removePublication(store, id);
          }
        }
        const api = await ComputeApi.open(outputs.access, settings.patience);
        const images = await api.images();
        const ours = images.filter((image) => isMarked(image, outputs));
        for (const { name } of ours) await api.deleteImage(name);
        const { imageName, imageId } = outputs;
        const left = images.find(({ id }) => id === imageId);
        if (left !== undefined && !ours.includes(left)) {
          tell(
            outputs,
            `the image ${imageName} stays, as it does not have our labels any more`,
          );
        }
        if (!isPublished(outputs)) return;
        const source = await ownSource(outputs, settings);
        await source?.object.remove(source.facts.generation);
      });
    },
  };
}

export const implementation = gceImages({ patience: usualPatience });

/** An image of the right content, and what it took. */
interface Proven {
  readonly image: ComputeImage;
  readonly sentBytes: number;
  readonly verification: Verification;
  /** The object that it was made from; gone already where it was known. */
  readonly source?: ObjectFacts | undefined;
}

/** One run for one image, under the lock. */
class Provision {
  readonly #inputs: Published;
  readonly #known: GceImageOutputs | undefined;
  readonly #api: ComputeApi;
  readonly #settings: GceSettings;
  readonly #store: Store;
  readonly #name: string;
  readonly #begin: () => void;

  constructor(
    inputs: Published,
    known: GceImageOutputs | undefined,
    api: ComputeApi,
    settings: GceSettings,
    begin: () => void,
  ) {
    this.#inputs = inputs;
    this.#known = known;
    this.#api = api;
    this.#settings = settings;
    this.#store = openStore(inputs.store);
    this.#name = imageNameOf(inputs, inputs.version);
    this.#begin = begin;
  }

  async run(): Promise<GceImageOutputs> {
    const inputs = this.#inputs;
    const build = await this.#build();
    this.#checkSize(build);
    const record = await readPublication(this.#store, recordIdOf(inputs));
    const claim = record && claimOfAnother(inputs, record);
    if (claim !== undefined) throw new StoreError(claim);
    const images = await this.#api.images();
    this.#checkOthers(images);
    if (images.some((each) => this.#isOwn(each))) this.#begin();
    const proven = await this.#provide(build, images, record);
    await this.#describe(proven.image);
    await this.#record(build, record, proven);
    const object = await sourceObjectOf(inputs, this.#settings);
    const remains = proven.source ?? (await object.find());
    if (remains !== undefined && isOurs(remains, inputs)) {
      await object.remove(remains.generation);
    }
    return {
      ...inputs,
      imageName: this.#name,
      imageId: proven.image.id,
      ...{ sentBytes: proven.sentBytes, verification: proven.verification },
      problems: [],
    };
  }

  async #build(): Promise<BuildRecord> {
    const { key, label } = this.#inputs;
    const build = await readBuild(this.#store, key);
    if (build !== undefined) return build;
    throw new StoreError(
      `${this.#store.location} has no record of the build of ${label} any more. Run: scripts/pulumi up --refresh`,
    );
  }

  /** @throws {UserError} when the disk has a size that Compute Engine would refuse after all was sent. */
  #checkSize({ raw: { sizeBytes } }: BuildRecord): void {
    if (sizeBytes > 0 && sizeBytes % gibibyte === 0) return;
    throw new UserError(
      `The disk of ${this.#inputs.label} has ${sizeBytes} bytes, and Compute Engine takes none but those of whole GiB. Build it with disk.sizeGiB of its definition. Nothing was uploaded.`,
    );
  }

  /** Nothing of others is touched: neither an image that has the name, nor a family that has images of theirs. */
  #checkOthers(images: readonly ComputeImage[]): void {
    const { family, access } = this.#inputs;
    const same = images.find(({ name }) => name === this.#name);
    if (same !== undefined && !this.#isOwn(same)) {
      throw new UserError(
        `The project ${access.project} has an image ${this.#name} already, and it is not of this image. Delete it, or publish to another project. Nothing was uploaded.`,
      );
    }
    const stranger = images.find(
      (each) => isStranger(each, this.#inputs, family) && !this.#isOwn(each),
    );
    if (stranger === undefined) return;
    throw new UserError(
      `The family ${family} in the project ${access.project} is somebody else's: the image ${stranger.name} is in it, and is not of this stack and target. Set cloud-images:gce.familyPrefix, or publish to another project. Nothing was uploaded.`,
    );
  }

  async #provide(
    build: BuildRecord,
    images: readonly ComputeImage[],
    record: PublicationRecord | undefined,
  ): Promise<Proven> {
    for (const found of images.filter((each) => this.#isOwn(each))) {
      const proven = await this.#judged(build, found, record);
      if (proven !== undefined) return proven;
      tell(
        this.#inputs,
        `removing the image ${found.name}, which is not whole`,
      );
      await this.#api.deleteImage(found.name);
    }
    await this.#checkLocation();
    return this.#made(build);
  }

  /** An image of ours that is there already, if it is known what it was made from. */
  async #judged(
    build: BuildRecord,
    found: ComputeImage,
    record: PublicationRecord | undefined,
  ): Promise<Proven | undefined> {
    if (found.name !== this.#name) return undefined;
    const image = await this.#settled(found);
    if (image?.status !== "READY") return undefined;
    const { imageId, sha256, verification, sentBytes } = this.#known ?? {};
    const isKnown = imageId === image.id && sha256 === this.#inputs.sha256;
    if (isKnown && verification !== undefined) {
      return { image, verification, sentBytes: sentBytes ?? 0 };
    }
    if (!this.#isWanted(image)) return undefined;
    if (record?.names?.imageId === image.id && record.verification) {
      return { image, verification: record.verification, sentBytes: 0 };
    }
    const object = await sourceObjectOf(this.#inputs, this.#settings);
    const source = await object.find();
    if (source === undefined || !isOurs(source, this.#inputs)) return undefined;
    const digests = await this.#digests();
    const isMadeFrom =
      isOf(source, digests) &&
      image.labels?.[generationLabel] === source.generation;
    if (!isMadeFrom || whatDiffers(image, build) !== undefined) {
      return undefined;
    }
    return { image, source, sentBytes: 0, verification: verified(digests) };
  }

  /** Whether an image was made for this file, and as it is to be. */
  #isWanted(image: ComputeImage): boolean {
    const { architecture, guestOsFeatures } = this.#inputs;
    const features = (image.guestOsFeatures ?? []).map(({ type }) => type);
    return (
      carriesLabels(image, fileLabels(this.#inputs)) &&
      image.architecture === architecture &&
      guestOsFeatures.every((each) => features.includes(each))
    );
  }

  /** Waits for an image that a run before this one asked for. */
  async #settled(image: ComputeImage): Promise<ComputeImage | undefined> {
    const { operationSeconds } = this.#settings.patience;
    const end = performance.now() + operationSeconds * 1000;
    let seen: ComputeImage | undefined = image;
    while (seen?.status === "PENDING" && performance.now() < end) {
      await sleep(settlePauseMilliseconds);
      seen = await this.#api.findImage(image.name);
    }
    return seen;
  }

  /** @throws {UserError} when there is no such region: Compute Engine says so only when all was sent. */
  async #checkLocation(): Promise<void> {
    const { storageLocation, place } = this.#inputs;
    // The others are multi-regions.
    if (!storageLocation?.includes("-")) return;
    if (await this.#api.hasRegion(storageLocation)) return;
    throw new UserError(
      `Compute Engine has no region ${storageLocation}, which cloud-images:gce.targets.${place}.storageLocation names. Correct it. Nothing was uploaded.`,
    );
  }

  async #made(build: BuildRecord): Promise<Proven> {
    const digests = await this.#digests();
    const object = await sourceObjectOf(this.#inputs, this.#settings);
    const { source, sentBytes } = await this.#sent(object, digests);
    try {
      await this.#makeImage(object, source);
      const image = await this.#api.findImage(this.#name);
      await this.#compare(build, object, source, image);
      const verification = verified(digests);
      return { image: image as ComputeImage, source, sentBytes, verification };
    } catch (error) {
      // What passes leaves the object to the next run, which knows by it an image that came to be all the same.
      const kind = failureKind(
        error instanceof Error ? error.cause : undefined,
      );
      if (kind === "passing" || kind === "expired") throw error;
      // What Google Cloud refuses now it may refuse for long: no object waits for that day.
      await object
        .remove(source.generation)
        .catch((failure: Error) => tell(this.#inputs, failure.message));
      throw error;
    }
  }

  async #digests(): Promise<SourceDigests> {
    const { sha256, label } = this.#inputs;
    const path = await this.#store.file(sha256);
    const digests = await digestsOfSource(path);
    if (digests.sha256 === sha256) return digests;
    throw new StoreError(
      `The tar.gz of ${label} (${path}) is not ${sha256} any more. Run: scripts/pulumi up --refresh`,
    );
  }

  /** The object of the file: one that a run before this one left, or a new one. */
  async #sent(
    object: SourceObject,
    digests: SourceDigests,
  ): Promise<{ source: ObjectFacts; sentBytes: number }> {
    const { bucket, sha256, atOnce } = this.#inputs;
    const found = await object.find();
    this.#begin();
    if (found !== undefined) {
      if (!isOurs(found, this.#inputs)) {
        throw new UserError(
          `The bucket ${bucket} has an object ${object.name} already, and it is not of this image. Remove it, or give the target another prefix. Nothing was uploaded.`,
        );
      }
      if (isOf(found, digests)) return { source: found, sentBytes: 0 };
      await object.remove(found.generation);
    }
    tell(
      this.#inputs,
      `sending ${Math.ceil(digests.sizeBytes / 1024 ** 2)} MiB`,
    );
    const path = await this.#store.file(sha256);
    const marks = marksOf(this.#inputs);
    const sent =
      (await object.upload(path, digests, marks, atOnce.inAll)) ??
      // Its answer may have been lost, and not the object.
      (await object.find());
    if (sent && isOurs(sent, this.#inputs) && isOf(sent, digests)) {
      return { source: sent, sentBytes: digests.sizeBytes };
    }
    throw new PublicationError(
      `Somebody made an object ${object.name} in the bucket ${bucket} while it was sent. Find out who, and run again.`,
    );
  }

  async #makeImage(object: SourceObject, source: ObjectFacts): Promise<void> {
    const { architecture, guestOsFeatures, licenses } = this.#inputs;
    const { description, storageLocation } = this.#inputs;
    tell(this.#inputs, `making the image ${this.#name}`);
    await this.#api.makeImage({
      ...{ name: this.#name, description, architecture, licenses },
      guestOsFeatures: guestOsFeatures.map((type) => ({ type })),
      labels: {
        ...wantedLabels(this.#inputs),
        [generationLabel]: source.generation,
      },
      storageLocations: storageLocation === undefined ? [] : [storageLocation],
      rawDisk: { source: object.url, containerType: "TAR" },
    });
  }

  /**
   * Compute Engine reads an object by its name: that it was the right one is known when the same generation is there
   * before and after.
   *
   * @throws {WrongCopyError} when the image may be something else.
   */
  async #compare(
    build: BuildRecord,
    object: SourceObject,
    source: ObjectFacts,
    image: ComputeImage | undefined,
  ): Promise<void> {
    if (image?.status !== "READY") {
      throw new PublicationError(
        `The image ${this.#name} in the project ${this.#inputs.access.project} is ${image?.status ?? "not there"} after it was made. Run again: it is made anew.`,
      );
    }
    const now = await object.find();
    const difference =
      now?.generation === source.generation
        ? whatDiffers(image, build)
        : `the object ${object.name} was replaced or removed meanwhile`;
    if (difference === undefined) return;
    await this.#api.deleteImage(this.#name);
    throw new WrongCopyError(
      `The image ${this.#name} in the project ${this.#inputs.access.project} is not proven to be what was built: ${difference}. It was deleted. Run again.`,
    );
  }

  /** Gives the image all that it is to say and that can be changed. */
  async #describe(image: ComputeImage): Promise<void> {
    const { description } = this.#inputs;
    const wanted = wantedLabels(this.#inputs);
    const gone = Object.keys(this.#known?.labels ?? {}).filter(
      (name) => wanted[name] === undefined,
    );
    const isRight =
      carriesLabels(image, wanted) &&
      gone.every((name) => image.labels?.[name] === undefined);
    if (!isRight) {
      const labels = Object.entries({ ...image.labels, ...wanted }).filter(
        ([name]) => !gone.includes(name),
      );
      await this.#api.setLabels(image, Object.fromEntries(labels));
    }
    if (image.description !== description) {
      await this.#api.patchImage(image.name, { description });
    }
  }

  async #record(
    { definition }: BuildRecord,
    existing: PublicationRecord | undefined,
    { image, verification }: Proven,
  ): Promise<void> {
    const { stack, key, access, family, sha256 } = this.#inputs;
    const record: PublicationRecord = {
      ...recordIdOf(this.#inputs),
      ...{ stack, key, definition },
      publishedAt: existing?.publishedAt ?? new Date().toISOString(),
      inputs: { access },
      files: [],
      names: {
        ...{ imageId: image.id, name: this.#name, family },
        ...{ project: access.project, sourceSha256: sha256 },
      },
      verification,
    };
    if (isDeepStrictEqual(existing, record)) return;
    await writePublication(this.#store, record);
  }

  /** Ours by its labels, or as the one that the last run made: its labels may have been taken off. */
  #isOwn(image: ComputeImage): boolean {
    return image.id === this.#known?.imageId || isMarked(image, this.#inputs);
  }
}

/** Whether an image says that it is the one of these inputs. */
function isMarked(image: ComputeImage, inputs: GceImageInputs): boolean {
  return carriesLabels(image, identityLabels(inputs));
}

/** Whether an image is in a family, and not of this series. */
export function isStranger(
  image: ComputeImage,
  series: Parameters<typeof seriesLabels>[0],
  family: string,
): boolean {
  return image.family === family && !carriesLabels(image, seriesLabels(series));
}

function sourceObjectOf(
  inputs: Published,
  { retries }: GceSettings,
): Promise<SourceObject> {
  const { access, bucket, prefix, version } = inputs;
  // Places and stacks may have a bucket in common.
  const digest = createHash("sha256")
    .update(JSON.stringify(marksOf(inputs)))
    .digest("hex");
  const name = `${prefix}/${imageNameOf(inputs, version)}-${digest.slice(0, 12)}.tar.gz`;
  return SourceObject.open(access, bucket, name, retries);
}

/** The object, where it is there and ours. */
async function ownSource(
  inputs: Published,
  settings: GceSettings,
): Promise<{ object: SourceObject; facts: ObjectFacts } | undefined> {
  const object = await sourceObjectOf(inputs, settings);
  const facts = await object.find();
  if (facts === undefined || !isOurs(facts, inputs)) return undefined;
  return { object, facts };
}

/** What our objects say of themselves. */
function marksOf(inputs: Published): Readonly<Record<string, string>> {
  return { ...identityLabels(inputs), ...fileLabels(inputs) };
}

function isOurs({ metadata }: ObjectFacts, inputs: Published): boolean {
  return carriesLabels({ labels: metadata }, marksOf(inputs));
}

/**
 * What of an image speaks against its being made from a build's disk, if anything does. The size of its archive says
 * nothing: it is that of what Compute Engine keeps, not of the file.
 */
function whatDiffers(
  { diskSizeGb }: ComputeImage,
  { raw: { sizeBytes } }: BuildRecord,
): string | undefined {
  if (Number(diskSizeGb) * gibibyte === sizeBytes) return undefined;
  return `its disk has ${diskSizeGb} GiB instead of ${sizeBytes / gibibyte}`;
}

function verified({ sizeBytes }: SourceDigests): Verification {
  const blocks = Math.ceil(sizeBytes / blockBytes);
  return {
    ...{ readBlocks: blocks, allBlocks: blocks },
    verifiedAt: new Date().toISOString(),
  };
}

/** All labels that an image is to have; those by which it is found come last. */
function wantedLabels(inputs: Published): Readonly<Record<string, string>> {
  return {
    ...inputs.labels,
    ...identityLabels(inputs),
    ...fileLabels(inputs),
  };
}

function problemsOf(
  image: ComputeImage,
  outputs: GceImageOutputs & Published,
): readonly string[] {
  const { name, status, description } = image;
  return [
    ...(status === "READY"
      ? []
      : [`the image ${name} is ${status} instead of READY`]),
    ...(carriesLabels(image, wantedLabels(outputs))
      ? []
      : [`the image ${name} has lost some of its labels`]),
    ...(description === outputs.description
      ? []
      : [`the image ${name} has another description`]),
  ];
}

function isPublished(inputs: GceImageInputs): inputs is Published {
  return inputs.version !== undefined && inputs.sha256 !== undefined;
}

function recordIdOf({
  place,
  definition,
  version,
  channel,
}: Published): PublicationId & { readonly place: string } {
  return { platform: "gce", place, definition, version, channel };
}

/** Runs where nobody else, in this process or another, works on the same image. */
function withLock<T>(
  inputs: GceImageInputs,
  use: () => Promise<T>,
): Promise<T> {
  const { project, endpoint } = inputs.access;
  const digest = createHash("sha256")
    .update(JSON.stringify([identityLabels(inputs), project, endpoint]))
    .digest("hex");
  return openStore(inputs.store).withLock(
    `gce-image-${digest.slice(0, 32)}`,
    lockPatienceSeconds,
    use,
  );
}

function tell({ label, place }: GceImageInputs, line: string): void {
  console.log(`${label} in ${place}: ${line}`);
}
