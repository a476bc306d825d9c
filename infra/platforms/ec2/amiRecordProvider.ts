/** What stands behind {@link AmiRecord}: looks at the AMI as EC2 shows it, has its disk compared, writes the record. */

import { isDeepStrictEqual } from "node:util";
import {
  CreateTagsCommand,
  DescribeImageAttributeCommand,
  DescribeImagesCommand,
  type Image,
  type LaunchPermission,
  ModifyImageAttributeCommand,
} from "@aws-sdk/client-ec2";
import type { AwsAccess } from "../../aws/access.ts";
import { checkAccount } from "../../aws/account.ts";
import { awsErrorCode } from "../../aws/failures.ts";
import type {
  DefinitionName,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import type { Implementation } from "../../dynamic/provider.ts";
import { PublicationError, StoreError, WrongCopyError } from "../../errors.ts";
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
import { rootSnapshotId } from "./amis.ts";
import { type MethodName, snapshotMethods } from "./snapshotMethods.ts";
import type { ReadBackExtent } from "./snapshotRequest.ts";
import { ec2Caller } from "./snapshots.ts";
import { apiTags, imageTags } from "./tags.ts";

/** Which AMI, of which image, where. */
export interface AmiRecordInputs {
  /** `organization/project/stack`. */
  readonly stack: string;
  /** The store's address. */
  readonly store: string;
  readonly key: ImageKey;
  /** The image, for messages. */
  readonly label: string;
  readonly definition: DefinitionName;
  readonly version: ImageVersion;
  readonly channel: ImageType;
  /** The target's name in the stack's configuration. */
  readonly place: string;
  readonly access: AwsAccess;
  readonly method: MethodName;
  readonly readBack: ReadBackExtent;
  readonly amiName: string;
  readonly rawSha256: string;
  readonly imageId: string;
  /** What the AMI was registered with; none for a copy, whose snapshot EC2 makes. */
  readonly snapshotId?: string | undefined;
  /** How that was compared with the disk; a copy's is compared here. */
  readonly verification?: Verification | undefined;
  /** The AMI that it is a copy of. */
  readonly sourceImageId?: string | undefined;
  /** Who may launch it besides its owner: account ids, ARNs, `all`. Each is let in by a resource of its own, after this. */
  readonly launchers: readonly string[];
}

/** The record, while it is there. */
export interface AmiRecordOutputs extends AmiRecordInputs {
  readonly problems: readonly string[];
}

export const implementation: Implementation<AmiRecordInputs, AmiRecordOutputs> =
  {
    async create(inputs) {
      const outputs = await provide(inputs);
      const { place, definition, version } = inputs;
      return { id: `${place}/${definition}/${version}`, outputs };
    },

    async read(_id, outputs) {
      const record = await readPublication(
        openStore(outputs.store),
        idOf(outputs),
      );
      if (record === undefined) return undefined;
      const problem = claimOfAnother(outputs, record);
      const strangers = await findStrangers(outputs);
      return {
        ...outputs,
        problems: [
          ...(problem === undefined ? [] : [problem]),
          ...strangers.map(
            (permission) =>
              `${nameOf(permission)} may launch ${outputs.imageId}, and is not to`,
          ),
        ],
      };
    },

    diff(outputs, inputs) {
      const changed = (names: readonly (keyof AmiRecordInputs)[]) =>
        names.filter((name) => !isDeepStrictEqual(outputs[name], inputs[name]));
      const store = storeDifference(outputs.store, inputs.store);
      return {
        replaces: [
          ...store.replaces,
          ...changed(["stack", "key", "definition"]),
          ...changed(["version", "channel", "place"]),
        ],
        updates: [
          ...store.updates,
          ...changed(["imageId", "snapshotId", "verification", "rawSha256"]),
          ...changed(["access", "method", "readBack", "launchers"]),
          ...(outputs.problems.length === 0 ? [] : ["problems"]),
        ],
      };
    },

    async update(_id, { launchers }, inputs) {
      // Those that were named before go by their own resources.
      await removeStrangers(inputs, launchers ?? []);
      return provide(inputs);
    },

    async delete(_id, outputs) {
      const store = openStore(outputs.store);
      const record = await readPublication(store, idOf(outputs));
      if (record === undefined) return;
      if (claimOfAnother(outputs, record) !== undefined) return;
      await removePublication(store, idOf(outputs));
    },
  };

async function provide(inputs: AmiRecordInputs): Promise<AmiRecordOutputs> {
  const store = openStore(inputs.store);
  const existing = await readPublication(store, idOf(inputs));
  const claim = existing && claimOfAnother(inputs, existing);
  if (claim !== undefined) throw new StoreError(claim);
  const build = await readWantedBuild(store, inputs);
  await checkAccount(inputs.access);
  const image = await describeImage(inputs);
  const snapshotId = rootSnapshotOf(inputs, image);
  await tagSnapshot(inputs, snapshotId);
  const verification =
    inputs.snapshotId === snapshotId && inputs.verification !== undefined
      ? inputs.verification
      : await compare(store, inputs, build, snapshotId);
  const { access, sourceImageId, imageId, amiName } = inputs;
  await writePublication(store, {
    ...idOf(inputs),
    stack: inputs.stack,
    key: inputs.key,
    definition: build.definition,
    publishedAt: existing?.publishedAt ?? new Date().toISOString(),
    inputs: { access, method: inputs.method },
    files: [],
    names: {
      ...{ imageId, snapshotId, name: amiName, region: access.region },
      ...(image.OwnerId === undefined ? {} : { account: image.OwnerId }),
      ...(sourceImageId === undefined ? {} : { sourceImageId }),
    },
    verification,
  });
  return { ...inputs, problems: [] };
}

/** Who may launch an AMI without being named; nobody where the AMI is gone, which its own resource finds out. */
async function findStrangers(
  { access, imageId, launchers = [] }: AmiRecordInputs,
  formerLaunchers: readonly string[] = [],
): Promise<readonly LaunchPermission[]> {
  const named = [...launchers, ...formerLaunchers];
  const isExpected = (error: unknown) =>
    awsErrorCode(error).startsWith("InvalidAMIID");
  try {
    const { LaunchPermissions = [] } = await ec2Caller(access).call(
      `see who may launch the AMI ${imageId}`,
      (ec2) =>
        ec2.send(
          new DescribeImageAttributeCommand({
            ImageId: imageId,
            Attribute: "launchPermission",
          }),
        ),
      { isExpected },
    );
    return LaunchPermissions.filter((each) => !named.includes(nameOf(each)));
  } catch (error) {
    if (isExpected(error)) return [];
    throw error;
  }
}

async function removeStrangers(
  inputs: AmiRecordInputs,
  formerLaunchers: readonly string[],
): Promise<void> {
  const strangers = await findStrangers(inputs, formerLaunchers);
  if (strangers.length === 0) return;
  const { access, imageId } = inputs;
  await ec2Caller(access).call(
    `take launch permissions from the AMI ${imageId}`,
    (ec2) =>
      ec2.send(
        new ModifyImageAttributeCommand({
          ImageId: imageId,
          LaunchPermission: { Remove: [...strangers] },
        }),
      ),
  );
}

function nameOf({
  Group,
  UserId,
  OrganizationArn,
  OrganizationalUnitArn,
}: LaunchPermission): string {
  return Group ?? UserId ?? OrganizationArn ?? OrganizationalUnitArn ?? "";
}

async function readWantedBuild(
  store: Store,
  { key, definition, version, rawSha256 }: AmiRecordInputs,
): Promise<BuildRecord> {
  const build = await readBuild(store, key);
  if (build?.raw.sha256 === rawSha256) return build;
  throw new StoreError(
    `${definition} ${version} cannot be recorded as published: the store ${store.location} has no build of key ${key} with the disk ${rawSha256}. Refresh the stack and run \`pulumi up\`.`,
  );
}

async function describeImage({
  access,
  imageId,
  amiName,
}: AmiRecordInputs): Promise<Image> {
  const { Images: [image] = [] } = await ec2Caller(access).call(
    `look at the AMI ${imageId}`,
    (ec2) => ec2.send(new DescribeImagesCommand({ ImageIds: [imageId] })),
  );
  if (image?.State === "available") return image;
  throw new PublicationError(
    `${amiName} (${imageId}) in ${access.region} is ${image?.State ?? "not there"}, not available. Nobody was let in to it. Run \`pulumi up --refresh\`.`,
  );
}

function rootSnapshotOf(
  { amiName, imageId, snapshotId }: AmiRecordInputs,
  image: Image,
): string {
  const found = rootSnapshotId(image);
  if (found !== undefined && (snapshotId ?? found) === found) return found;
  throw new PublicationError(
    `${amiName} (${imageId}) starts from the snapshot ${found ?? "none"}, not from ${snapshotId ?? "one of its own"}. Deregister it, and run \`pulumi up --refresh\`, which makes it anew.`,
  );
}

/**
 * EC2 gives the snapshot of a copied AMI no tags. Those who publish may read and delete what carries ours, and nothing
 * else (docs/decisions/0018-two-roles-bound-to-a-tag.md).
 */
async function tagSnapshot(
  inputs: AmiRecordInputs,
  snapshotId: string,
): Promise<void> {
  if (inputs.snapshotId === snapshotId) return;
  const tags = imageTags({
    ...inputs,
    rawSha256: inputs.rawSha256 as Sha256,
  });
  await ec2Caller(inputs.access).call(`tag the snapshot ${snapshotId}`, (ec2) =>
    ec2.send(
      new CreateTagsCommand({
        Resources: [snapshotId],
        Tags: apiTags(tags),
      }),
    ),
  );
}

async function compare(
  store: Store,
  { access, label, method, readBack, imageId }: AmiRecordInputs,
  { raw }: BuildRecord,
  snapshotId: string,
): Promise<Verification> {
  const way = await snapshotMethods[method]();
  const request = {
    ...{ access, snapshotId, label, extent: readBack },
    rawPath: await store.file(raw.sha256),
    rawSha256: raw.sha256,
    sizeBytes: raw.sizeBytes,
  };
  try {
    return await way.readBack(request, (line) => console.log(line));
  } catch (error) {
    if (!(error instanceof WrongCopyError)) throw error;
    // Nothing that Pulumi knows of the AMI says so: it would stay.
    throw new WrongCopyError(
      `${error.message.replace(/ Run scripts.*$/, "")} Deregister the AMI ${imageId}, and run \`pulumi up --refresh\`, which makes it anew.`,
      { cause: error },
    );
  }
}

function idOf({
  place,
  definition,
  version,
  channel,
}: AmiRecordInputs): PublicationId & { readonly place: string } {
  return { platform: "ec2", place, definition, version, channel };
}
