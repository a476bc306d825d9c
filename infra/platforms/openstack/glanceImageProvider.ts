/** What stands behind {@link GlanceImage}: one verified image in one cloud, and its record. */

import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
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
import type { CloudAccess } from "../../openstack/cloud.ts";
import {
  isPassing,
  openstackFailure,
  statusOf,
} from "../../openstack/failures.ts";
import {
  type Image,
  ImageApi,
  type Visibility,
} from "../../openstack/imageApi.ts";
import {
  Session,
  type SessionSettings,
  usualSettings,
  waitingFor,
} from "../../openstack/session.ts";
import { digestsOfFile } from "../../store/digest.ts";
import {
  type PublicationId,
  readBuild,
  readPublication,
  removePublication,
  writePublication,
} from "../../store/documents.ts";
import { openStore, storeDifference } from "../../store/openStore.ts";
import type { BuildRecord, Verification } from "../../store/records.ts";
import type { Sha256, Store } from "../../store/store.ts";
import { claimOfAnother } from "../claim.ts";
import { inTurn, watched } from "../uploads.ts";
import {
  datedName,
  fileProperties,
  identityProperties,
  idProperty,
  imageIdOf,
  isOriginal,
} from "./glanceNames.ts";
import { withImageLock } from "./imageLock.ts";
import type { GlanceFormat } from "./openstackConfig.ts";

/** Which image, where to, and what is said of it there. */
export interface GlanceImageInputs {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  readonly definition: DefinitionName;
  readonly channel: ImageType;
  /** The image's name, for messages. */
  readonly label: string;
  /** The cloud's name in the stack's configuration. */
  readonly place: string;
  /** Without credentials: those are read when they are needed. */
  readonly access: CloudAccess;
  readonly format: GlanceFormat;
  /** None while the image is one that failed and was allowed to; so is the file. */
  readonly version?: ImageVersion | undefined;
  /** Of the file in the format, in hex. */
  readonly sha256?: string | undefined;
  /** The smallest disk that it fits on. */
  readonly minDiskGiB: number;
  /** What Nova and people are told of it. */
  readonly properties: Readonly<Record<string, string>>;
  readonly visibility: Visibility;
  /** Ids of the projects that it is shared with. */
  readonly members: readonly string[];
  /** How many are made at once: in the cloud, and of all files that are sent anywhere. Outputs of old do not say it. */
  readonly atOnce: { readonly inCloud: number; readonly inAll: number };
  /** How long a cloud that does not answer is waited for; as usual when left out. */
  readonly waitSeconds?: number | undefined;
}

/** The image; none while there is no build. */
export interface GlanceImageOutputs extends GlanceImageInputs {
  readonly imageId?: string | undefined;
  /** Of the content, as Glance has it and the store's file: 128 lower-case hex digits. */
  readonly sha512?: string | undefined;
  /** Bytes of the file that went over the network in the last run that made it. */
  readonly sentBytes: number;
  readonly verification?: Verification | undefined;
  readonly problems: readonly string[];
}

/** What there is to make when there is a build. */
type Published = GlanceImageInputs & {
  readonly version: ImageVersion;
  readonly sha256: Sha256;
};

/** Pulumi starts all at once: those that go to one cloud wait for each other, and a slow cloud holds up no other. */
const limits = new Map<string, LimitFunction>();

function limitOf({ access, atOnce }: GlanceImageInputs): LimitFunction {
  const name = JSON.stringify([access.cloud, access.region]);
  const limit = limits.get(name) ?? pLimit(atOnce.inCloud);
  limits.set(name, limit);
  return limit;
}

/** Read at once of a file that is sent. */
const chunkBytes = 256 * 1024;

/** A record counts blocks; Glance hashes all of them. */
const blockBytes = 1024 ** 2;

/** How often a file is sent before a cloud is given up. */
const sendingAttempts = 5;

/** Between two looks at an image that Glance is still at work on. */
const settlePauseMilliseconds = 250;

/** So many ids of one image may have been used up. */
const mostIds = 1000;

/**
 * The resource's ways.
 *
 * @param settings how patient it is with clouds
 */
export function glanceImages(
  settings: SessionSettings,
): Implementation<GlanceImageInputs, GlanceImageOutputs> {
  const openSession = ({ access, waitSeconds }: GlanceImageInputs) =>
    Session.open(access, waitingFor(settings, waitSeconds));

  const provide = async (
    inputs: GlanceImageInputs,
    known?: GlanceImageOutputs,
  ): Promise<GlanceImageOutputs> => {
    if (!isPublished(inputs)) return { ...inputs, sentBytes: 0, problems: [] };
    return limitOf(inputs)(() =>
      withImageLock(inputs, async () => {
        const session = await openSession(inputs);
        return new Provision(inputs, known, session).run();
      }),
    );
  };

  return {
    async create(inputs) {
      const outputs = await provide(inputs);
      const { place, definition, key } = inputs;
      return { id: `${place}/${definition}/${key.slice(0, 12)}`, outputs };
    },

    async read(_id, outputs) {
      if (outputs.imageId === undefined || !isPublished(outputs)) {
        return undefined;
      }
      const session = await openSession(outputs);
      const api = new ImageApi(session);
      const image = await api.find(outputs.imageId);
      if (image === undefined || !isOriginal(image)) return undefined;
      const store = openStore(outputs.store);
      const build = await readBuild(store, outputs.key);
      const members =
        outputs.members.length === 0 ? [] : await api.members(image.id);
      const record = await readPublication(store, recordIdOf(outputs));
      const problems = [
        ...problemsOf(image, outputs, build),
        ...outputs.members
          .filter((project) => !members.includes(project))
          .map((project) => `${image.id} is not shared with ${project}`),
        ...(record?.names?.imageId === image.id
          ? []
          : [`the store has no record of ${image.id}`]),
      ];
      return { ...outputs, problems };
    },

    diff(outputs, inputs) {
      // What there is stays while nothing better can be had.
      if (!isPublished(inputs)) return { replaces: [], updates: [] };
      const changed = (names: readonly (keyof GlanceImageInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      const isMade = outputs.imageId !== undefined;
      const store = storeDifference(outputs.store, inputs.store);
      return {
        replaces: [
          ...store.replaces,
          ...changed(["stack", "key", "definition", "channel", "place"]),
          ...changed(["access", "format"]),
          ...(isMade ? changed(["version", "sha256"]) : []),
        ],
        updates: [
          ...store.updates,
          ...changed(["minDiskGiB", "properties", "visibility", "members"]),
          ...(isMade ? [] : ["version"]),
          ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ],
      };
    },

    update(_id, outputs, inputs) {
      return provide(inputs, outputs);
    },

    async delete(_id, outputs) {
      await withImageLock(outputs, async () => {
        const store = openStore(outputs.store);
        if (isPublished(outputs)) {
          const id = recordIdOf(outputs);
          const record = await readPublication(store, id);
          if (record && claimOfAnother(outputs, record) === undefined) {
            await removePublication(store, id);
          }
        }
        const session = await openSession(outputs);
        const api = new ImageApi(session);
        const ours = await originals(api, outputs);
        for (const { id } of ours) await api.remove(id);
        const { imageId } = outputs;
        if (imageId === undefined || ours.some(({ id }) => id === imageId)) {
          return;
        }
        if ((await api.find(imageId)) === undefined) return;
        tell(
          outputs,
          `the image ${imageId} stays, as it does not have our properties any more`,
        );
      });
    },
  };
}

export const implementation = glanceImages(usualSettings);

/** An image of the right content, and what it took. */
interface Proven {
  readonly image: Image;
  readonly sha512: string;
  readonly sentBytes: number;
  readonly verification: Verification;
}

/** One run for one image, under the lock. */
class Provision {
  readonly #inputs: Published;
  readonly #known: GlanceImageOutputs | undefined;
  readonly #session: Session;
  readonly #api: ImageApi;
  readonly #store: Store;

  constructor(
    inputs: Published,
    known: GlanceImageOutputs | undefined,
    session: Session,
  ) {
    this.#inputs = inputs;
    this.#known = known;
    this.#session = session;
    this.#api = new ImageApi(session);
    this.#store = openStore(inputs.store);
  }

  async run(): Promise<GlanceImageOutputs> {
    const inputs = this.#inputs;
    const build = await this.#build();
    const existing = await readPublication(this.#store, recordIdOf(inputs));
    const claim = existing && claimOfAnother(inputs, existing);
    if (claim !== undefined) throw new StoreError(claim);

    const proven =
      (await this.#proven()) ??
      (await this.#adopted()) ??
      (await this.#made(build));
    const { image, sha512, sentBytes, verification } = proven;
    await this.#describe(image, build);
    for (const { id } of await originals(this.#api, inputs)) {
      if (id !== image.id) await this.#api.remove(id);
    }
    await writePublication(this.#store, {
      ...recordIdOf(inputs),
      stack: inputs.stack,
      key: inputs.key,
      definition: build.definition,
      publishedAt: existing?.publishedAt ?? new Date().toISOString(),
      inputs: { access: inputs.access, format: inputs.format },
      files: [],
      names: {
        imageId: image.id,
        name: datedName(inputs, inputs.version),
        sha512,
        project: image.owner ?? "",
      },
      verification,
    });
    return {
      ...inputs,
      ...{ imageId: image.id, sha512, sentBytes, verification },
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

  /** What the last run verified cannot have changed: Glance takes the content of an image once. */
  async #proven(): Promise<Proven | undefined> {
    const { imageId, sha512, sha256, verification, sentBytes } =
      this.#known ?? {};
    const isSame =
      imageId !== undefined &&
      sha512 !== undefined &&
      verification !== undefined &&
      sha256 === this.#inputs.sha256;
    if (!isSame) return undefined;
    const image = await this.#api.find(imageId);
    if (image?.status !== "active" || !isOriginal(image)) return undefined;
    if (image.os_hash_value !== sha512) return undefined;
    return { image, sha512, verification, sentBytes: sentBytes ?? 0 };
  }

  /** A whole one that is there already, of which the state does not know; those of other content are removed. */
  async #adopted(): Promise<Proven | undefined> {
    for (const image of await originals(this.#api, this.#inputs)) {
      if (image.status === "deactivated") {
        throw new PublicationError(
          `The image ${image.id} of ${this.#inputs.label} was deactivated by an administrator of the cloud ${this.#session.cloud.name}. Ask why, and have it reactivated or deleted.`,
        );
      }
      if (image.status !== "active") continue;
      if (this.#isFor(image)) {
        this.#tell(`comparing the image ${image.id}, which is there already`);
        const digests = await digestsOfFile(await this.#path());
        if (image.os_hash_value === digests.sha512) {
          return this.#compared(image, digests, 0);
        }
      }
      this.#tell(`removing the image ${image.id}, which holds something else`);
      await this.#api.remove(image.id);
    }
    return undefined;
  }

  /** Sends the file, again where that was cut off; an image that cannot be finished is removed. */
  async #made(build: BuildRecord): Promise<Proven> {
    const { firstPauseSeconds, longestPauseSeconds } =
      this.#session.settings.patience;
    const path = await this.#path();
    const { size } = await stat(path);
    for (let attempt = 1; ; attempt++) {
      const { id } = await this.#empty(build);
      try {
        const digests = await this.#send(id, path, size);
        return await this.#judged(id, digests, size);
      } catch (error) {
        if (error instanceof WrongCopyError || error instanceof StoreError) {
          await this.#discard(id);
        }
        if (isForPeople(error)) throw error;
        if (!mayEndWell(error) || attempt === sendingAttempts) {
          await this.#discard(id);
          throw openstackFailure(
            `take the file of ${this.#inputs.label}`,
            ...([this.#session.cloud.name, error] as const),
          );
        }
        this.#tell(`sending again: ${(error as Error).message}`);
        const pause = Math.min(
          firstPauseSeconds * 2 ** (attempt - 1),
          longestPauseSeconds,
        );
        await sleep(pause * 1000 * (1 + Math.random()));
        // The answer may have been lost, and not the file.
        const adopted = await this.#adopted();
        if (adopted !== undefined) return { ...adopted, sentBytes: size };
      }
    }
  }

  /** An image of ours that waits for its content: one that was left so, or a new one. */
  async #empty(build: BuildRecord): Promise<Image> {
    for (const found of await originals(this.#api, this.#inputs)) {
      const image = await this.#settled(found);
      if (image === undefined) continue;
      if (image.status === "queued" && this.#isFor(image)) {
        await this.#api.change(image, { visibility: "private" });
        return image;
      }
      if (image.status !== "active") await this.#api.remove(image.id);
    }
    const image = await this.#created(build);
    // It shows at once whether the cloud allows the visibility; nobody sees what is not proven.
    await this.#api.change(image, { visibility: "private" });
    return image;
  }

  async #created(build: BuildRecord): Promise<Image> {
    const { version, format, sha256, minDiskGiB, visibility } = this.#inputs;
    const project = await this.#session.projectId();
    for (let count = 0; count < mostIds; count++) {
      const id = imageIdOf(this.#inputs, sha256, project, count);
      const created = await this.#api.create({
        ...wantedProperties(this.#inputs, id, build),
        id,
        name: datedName(this.#inputs, version),
        disk_format: format,
        container_format: "bare",
        min_disk: minDiskGiB,
        visibility,
        os_hidden: true,
      });
      if (created !== undefined) return created;
      // An answer that was lost leaves an image that has the id.
      const existing = await this.#api.find(id);
      if (existing?.status === "queued" && isOriginal(existing)) {
        return existing;
      }
    }
    throw new PublicationError(
      `The cloud ${this.#session.cloud.name} has had ${mostIds} images of ${this.#inputs.label}, and takes no other id. Ask its operator what refuses them.`,
    );
  }

  /** Waits a little for Glance to notice that nobody sends any more. */
  async #settled(image: Image): Promise<Image | undefined> {
    const { settleSeconds } = this.#session.settings;
    const end = performance.now() + settleSeconds * 1000;
    let seen: Image | undefined = image;
    while (seen?.status === "saving" && performance.now() < end) {
      await sleep(settlePauseMilliseconds);
      seen = await this.#api.find(image.id);
    }
    return seen;
  }

  async #send(id: string, path: string, sizeBytes: number): Promise<Digests> {
    const hashes = {
      sha256: createHash("sha256"),
      sha512: createHash("sha512"),
    };
    const chunks = chunksOf(path, Object.values(hashes));
    await inTurn(this.#inputs.atOnce.inAll, (turn) => {
      this.#tell(`sending ${Math.ceil(sizeBytes / 1024 ** 2)} MiB`);
      return this.#api.upload(id, { sizeBytes, chunks: watched(chunks, turn) });
    });
    return {
      sha256: hashes.sha256.digest("hex"),
      sha512: hashes.sha512.digest("hex"),
    };
  }

  async #judged(
    id: string,
    digests: Digests,
    sentBytes: number,
  ): Promise<Proven> {
    const { label, sha256 } = this.#inputs;
    if (digests.sha256 !== sha256) {
      throw new StoreError(
        `The ${this.#inputs.format} file of ${label} in ${this.#store.location} is altered. Run: scripts/pulumi up --refresh`,
      );
    }
    const found = await this.#api.find(id);
    const image = found && (await this.#settled(found));
    if (image?.status !== "active") {
      await this.#discard(id);
      throw new PublicationError(
        `The image ${id} of ${label} is ${image?.status ?? "gone"} in the cloud ${this.#session.cloud.name} after all of it was sent. Run again: it is made anew.`,
      );
    }
    return this.#compared(image, digests, sentBytes);
  }

  /** @throws {WrongCopyError} when Glance has hashed other bytes. */
  #compared(image: Image, digests: Digests, sentBytes: number): Proven {
    const { os_hash_algo: algorithm, os_hash_value: value } = image;
    const cloud = this.#session.cloud.name;
    if (algorithm !== "sha512") {
      throw new PublicationError(
        `The cloud ${cloud} says no SHA-512 of its images (os_hash_algo is ${algorithm ?? "not there"}), and so nothing proves that one is right. Ask its operator to set hashing_algorithm of Glance to sha512, its default.`,
      );
    }
    if (value !== digests.sha512) {
      throw new WrongCopyError(
        `The image ${image.id} of ${this.#inputs.label} in the cloud ${cloud} is not what was sent: its SHA-512 is ${value} instead of ${digests.sha512}. It was removed. Run again.`,
      );
    }
    const blocks = Math.ceil((image.size ?? 0) / blockBytes);
    return {
      ...{ image, sentBytes, sha512: digests.sha512 },
      verification: {
        sha256: this.#inputs.sha256,
        ...{ readBlocks: blocks, allBlocks: blocks },
        verifiedAt: new Date().toISOString(),
      },
    };
  }

  /** Gives the image all that it is to say, and lets others see it. */
  async #describe(image: Image, build: BuildRecord): Promise<void> {
    const { visibility, members, minDiskGiB } = this.#inputs;
    await this.#api.change(
      image,
      {
        ...wantedProperties(this.#inputs, image.id, build),
        ...{ visibility, min_disk: minDiskGiB },
      },
      Object.keys(this.#known?.properties ?? {}),
    );
    const before = this.#known?.members ?? [];
    if (before.length + members.length === 0) return;
    const there =
      visibility === "shared" ? await this.#api.members(image.id) : [];
    for (const project of members) {
      if (!there.includes(project))
        await this.#api.addMember(image.id, project);
    }
    for (const project of before) {
      if (there.includes(project) && !members.includes(project)) {
        await this.#api.removeMember(image.id, project);
      }
    }
  }

  /** Whether an image was made for this file. */
  #isFor(image: Image): boolean {
    return (
      image.disk_format === this.#inputs.format &&
      hasAll(image, fileProperties(this.#inputs))
    );
  }

  #path(): Promise<string> {
    return openStore(this.#inputs.store).file(this.#inputs.sha256);
  }

  /** A cloud that does not answer keeps it: the next run finds and finishes it. */
  async #discard(id: string): Promise<void> {
    await this.#api
      .remove(id)
      .catch((error: Error) =>
        this.#tell(`the unfinished image ${id} is left: ${error.message}`),
      );
  }

  #tell(line: string): void {
    tell(this.#inputs, line);
  }
}

interface Digests {
  readonly sha256: string;
  readonly sha512: string;
}

/** Whether a file that was not taken may be when it is sent again: what became of the image is looked at first. */
function mayEndWell(error: unknown): boolean {
  // The token expired, the image was deleted behind our back, or a sender who has gone still counts.
  return (
    isPassing(error) || [401, 404, 409, 410].includes(statusOf(error) ?? 0)
  );
}

/** Whether an error says already what is wrong and what to do. */
function isForPeople(error: unknown): boolean {
  return (
    error instanceof PublicationError ||
    error instanceof StoreError ||
    error instanceof UserError
  );
}

/** A file's bytes in pieces, of which one is in memory. */
async function* chunksOf(
  path: string,
  hashes: readonly { update(chunk: Buffer): unknown }[],
): AsyncGenerator<Buffer> {
  await using file = await open(path, "r");
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, null);
    if (bytesRead === 0) return;
    const chunk = buffer.subarray(0, bytesRead);
    for (const hash of hashes) hash.update(chunk);
    yield chunk;
  }
}

function isPublished(inputs: GlanceImageInputs): inputs is Published {
  return inputs.version !== undefined && inputs.sha256 !== undefined;
}

/** All properties of an image. The user's own come last, and cannot replace those by which it is found. */
function wantedProperties(
  inputs: Published,
  id: string,
  build: BuildRecord | undefined,
): Readonly<Record<string, string>> {
  const hasAgent = build?.packages.some(
    ({ name }) => name === "qemu-guest-agent",
  );
  return {
    ...(hasAgent === true ? { hw_qemu_guest_agent: "yes" } : {}),
    ...inputs.properties,
    ...identityProperties(inputs),
    ...fileProperties(inputs),
    [idProperty]: id,
  };
}

function problemsOf(
  image: Image,
  outputs: GlanceImageOutputs & Published,
  build: BuildRecord | undefined,
): readonly string[] {
  const { id, status, visibility, min_disk, os_hash_value } = image;
  const wanted = wantedProperties(outputs, id, build);
  return [
    ...(status === "active"
      ? []
      : [`the image ${id} is ${status} instead of active`]),
    ...(os_hash_value === outputs.sha512
      ? []
      : [`the image ${id} has another SHA-512 than it had`]),
    ...(visibility === outputs.visibility
      ? []
      : [`the image ${id} is ${visibility} instead of ${outputs.visibility}`]),
    ...(hasAll(image, wanted) && min_disk === outputs.minDiskGiB
      ? []
      : [`the image ${id} has lost some of its properties`]),
  ];
}

function hasAll(
  image: Image,
  wanted: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(wanted).every(([name, value]) => image[name] === value);
}

/** Images that we made of this key in this place. */
async function originals(
  api: ImageApi,
  inputs: GlanceImageInputs,
): Promise<readonly Image[]> {
  return (await api.list(identityProperties(inputs))).filter(isOriginal);
}

function recordIdOf({
  place,
  definition,
  version,
  channel,
}: Published): PublicationId & { readonly place: string } {
  return { platform: "openstack", place, definition, version, channel };
}

function tell({ label, place }: GlanceImageInputs, line: string): void {
  console.log(`${label} in ${place}: ${line}`);
}
