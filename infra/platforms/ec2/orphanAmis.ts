/**
 * AMIs that a killed run asked for and did not live to note. Pulumi knows from its state that it had begun to create
 * something, and neither whether that came to be nor its id; and a name is taken while the AMI exists.
 */

import {
  CreateTagsCommand,
  DeregisterImageCommand,
  type Image,
} from "@aws-sdk/client-ec2";
import { z } from "zod";
import type { AwsAccess } from "../../aws/access.ts";
import { checkAccount } from "../../aws/account.ts";
import { exportedStack, providerOf } from "../exportedStack.ts";
import { imagesOfName, rootSnapshotId } from "./amis.ts";
import { type Ec2Caller, ec2Caller, findSnapshot } from "./snapshots.ts";
import { apiTags, carriesTags, tagNames } from "./tags.ts";

/** An AMI that was asked for. */
export interface AskedForAmi {
  readonly access: AwsAccess;
  readonly name: string;
  /** Those that it was to carry; nothing without all of them is touched. */
  readonly tags: Readonly<Record<string, string>>;
  /** What it was to be a copy of: EC2 makes snapshots for a copy, which go with it. */
  readonly sourceImageId?: string | undefined;
  /** AMIs that the state has: they are no orphans, whatever their names. */
  readonly knownIds: readonly string[];
}

const types = ["aws:ec2/ami:Ami", "aws:ec2/amiCopy:AmiCopy"];

const endpointSchema = z.object({ ec2: z.string().optional() });

/** The inputs of a provider, of which the state has lists as JSON. */
const providerSchema = z.object({
  region: z.string(),
  profile: z.string().optional(),
  allowedAccountIds: jsonList(z.string()),
  assumeRoles: jsonList(z.object({ roleArn: z.string().optional() })),
  endpoints: jsonList(endpointSchema),
});

function jsonList<T>(item: z.ZodType<T>) {
  return z
    .union([
      z.array(item),
      z.string().transform((text) => z.array(item).parse(JSON.parse(text))),
    ])
    .default([]);
}

const amiSchema = z.object({
  name: z.string(),
  tags: z.record(z.string(), z.string()),
  sourceAmiId: z.string().optional(),
});

/**
 * The AMIs that a run had begun to create when it was killed. Pure.
 *
 * What the state has meanwhile is not touched.
 *
 * @param exported what `pulumi stack export` gives
 */
export function askedForAmis(exported: unknown): readonly AskedForAmi[] {
  const stack = exportedStack(exported);
  const knownIds = stack.resources
    .filter(({ type }) => types.includes(type))
    .flatMap(({ id }) => id ?? []);
  return stack.pendingCreates.flatMap((resource) => {
    const provider = providerOf(resource, stack);
    const ami = amiSchema.safeParse(resource.inputs);
    const isAmi = types.includes(resource.type);
    // Without its provider nobody can look.
    if (!isAmi || provider === undefined || !ami.success) return [];
    const { name, tags, sourceAmiId: sourceImageId } = ami.data;
    if (tags[tagNames.stack] === undefined) return [];
    const access = accessOf(provider.inputs);
    return [{ access, name, tags, sourceImageId, knownIds }];
  });
}

function accessOf(inputs: Readonly<Record<string, unknown>>): AwsAccess {
  const { region, profile, assumeRoles, endpoints, allowedAccountIds } =
    providerSchema.parse(inputs);
  const [account] = allowedAccountIds;
  const assumeRole = assumeRoles[0]?.roleArn;
  const endpoint = endpoints[0]?.ec2;
  return {
    region,
    ...(account === undefined ? {} : { account }),
    ...(profile === undefined ? {} : { profile }),
    ...(assumeRole === undefined ? {} : { assumeRole }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

/**
 * Deregisters an AMI that was asked for, if it came to be: the next run makes it again and knows it. Nobody but its
 * account could launch it yet, since that comes last.
 *
 * @returns its id, or `undefined` where there is none that is ours
 * @throws {UserError | PublicationError} see {@link PatientCaller.call}, and when the credentials are of another account.
 */
export async function removeOrphanAmi(
  asked: AskedForAmi,
): Promise<string | undefined> {
  const { access, tags, sourceImageId } = asked;
  await checkAccount(access);
  const ec2 = ec2Caller(access);
  const orphan = await findOrphan(ec2, asked);
  if (orphan?.ImageId === undefined) return undefined;
  const { ImageId } = orphan;
  const isCopy = sourceImageId !== undefined;
  const snapshotId = isCopy ? rootSnapshotId(orphan) : undefined;
  const Resources = [
    ImageId,
    ...(snapshotId === undefined ? [] : [snapshotId]),
  ];
  await ec2.call(`tag the AMI ${ImageId}`, (client) =>
    // What may be deleted is what carries them.
    client.send(new CreateTagsCommand({ Resources, Tags: apiTags(tags) })),
  );
  await ec2.call(`deregister the AMI ${ImageId}`, (client) =>
    client.send(
      new DeregisterImageCommand({
        ImageId,
        ...(isCopy ? { DeleteAssociatedSnapshots: true } : {}),
      }),
    ),
  );
  return ImageId;
}

/** An AMI gets its tags right after it was made; before that it is known by what it was made from. */
async function findOrphan(
  ec2: Ec2Caller,
  { name, tags, sourceImageId, knownIds }: AskedForAmi,
): Promise<Image | undefined> {
  for (const image of await imagesOfName(ec2, name)) {
    if (knownIds.includes(image.ImageId ?? "")) continue;
    if (carriesTags(image.Tags, tags)) return image;
    const isTagged = image.Tags?.some(({ Key }) => Key === tagNames.stack);
    if (isTagged) continue;
    if (sourceImageId !== undefined) {
      if (image.SourceImageId === sourceImageId) return image;
      continue;
    }
    const snapshotId = rootSnapshotId(image);
    const snapshot =
      snapshotId === undefined
        ? undefined
        : await findSnapshot(ec2, snapshotId);
    const identity = [tagNames.stack, tagNames.key, tagNames.image].map(
      (tag) => [tag, tags[tag] ?? ""] as const,
    );
    if (carriesTags(snapshot?.Tags, Object.fromEntries(identity))) return image;
  }
  return undefined;
}
