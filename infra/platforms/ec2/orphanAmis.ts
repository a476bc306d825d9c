/**
 * AMIs that a killed run asked for and did not live to note. Pulumi knows from its state that it had begun to create
 * something, and neither whether that came to be nor its id; and a name is taken while the AMI exists.
 */

import {
  CreateTagsCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
} from "@aws-sdk/client-ec2";
import { z } from "zod";
import type { AwsAccess } from "../../aws/access.ts";
import { ec2Client } from "../../aws/clients.ts";
import { rootSnapshotId } from "./amis.ts";
import { apiTags, carriesTags, tagNames } from "./tags.ts";

/** An AMI that was asked for. */
export interface AskedForAmi {
  readonly access: AwsAccess;
  readonly name: string;
  /** Those that it was to carry; nothing without all of them is touched. */
  readonly tags: Readonly<Record<string, string>>;
  /** Whether EC2 made snapshots for it, which go with it. */
  readonly isCopy: boolean;
}

const types = {
  "aws:ec2/ami:Ami": { isCopy: false },
  "aws:ec2/amiCopy:AmiCopy": { isCopy: true },
} as const;

const endpointSchema = z.object({ ec2: z.string().optional() });

/** The inputs of a provider, of which the state has lists as JSON. */
const providerSchema = z.object({
  region: z.string(),
  profile: z.string().optional(),
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

const resourceSchema = z.looseObject({
  urn: z.string(),
  id: z.string().optional(),
  type: z.string(),
  provider: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).default({}),
});

/** What of `pulumi stack export` matters here. */
const deploymentSchema = z.object({
  deployment: z
    .object({
      resources: z.array(resourceSchema).default([]),
      pending_operations: z
        .array(z.object({ type: z.string(), resource: resourceSchema }))
        .default([]),
    })
    .nullish(),
});

const amiSchema = z.object({
  name: z.string(),
  tags: z.record(z.string(), z.string()),
});

/**
 * The AMIs that a stack's last run had begun to create when it was killed. Pure.
 *
 * @param exported what `pulumi stack export` gives
 */
export function askedForAmis(exported: unknown): readonly AskedForAmi[] {
  const { deployment } = deploymentSchema.parse(exported);
  const pending = deployment?.pending_operations ?? [];
  return pending.flatMap(({ type, resource }) => {
    const kind = types[resource.type as keyof typeof types];
    const provider = deployment?.resources.find(
      ({ urn, id }) => `${urn}::${id}` === resource.provider,
    );
    const ami = amiSchema.safeParse(resource.inputs);
    if (type !== "creating" || kind === undefined || !ami.success) return [];
    const { name, tags } = ami.data;
    if (tags[tagNames.stack] === undefined) return [];
    const access = accessOf(provider?.inputs ?? {});
    return [{ access, name, tags, ...kind }];
  });
}

function accessOf(inputs: Readonly<Record<string, unknown>>): AwsAccess {
  const { region, profile, assumeRoles, endpoints } =
    providerSchema.parse(inputs);
  const assumeRole = assumeRoles[0]?.roleArn;
  const endpoint = endpoints[0]?.ec2;
  return {
    region,
    ...(profile === undefined ? {} : { profile }),
    ...(assumeRole === undefined ? {} : { assumeRole }),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

/**
 * Deregisters an AMI that was asked for, if it came to be: the next run makes it again and knows it. Nobody but its
 * account could launch it yet, since that comes last.
 *
 * @returns its id, or `undefined` where there is none that carries the tags
 */
export async function removeOrphanAmi({
  access,
  name,
  tags,
  isCopy,
}: AskedForAmi): Promise<string | undefined> {
  const client = ec2Client(access);
  try {
    const { Images = [] } = await client.send(
      new DescribeImagesCommand({
        Owners: ["self"],
        Filters: [{ Name: "name", Values: [name] }],
      }),
    );
    const orphan = Images.find(({ Tags }) => carriesTags(Tags, tags));
    if (orphan?.ImageId === undefined) return undefined;
    const snapshotId = isCopy ? rootSnapshotId(orphan) : undefined;
    if (snapshotId !== undefined) {
      // EC2 did not, and what may be deleted is what carries them.
      await client.send(
        new CreateTagsCommand({ Resources: [snapshotId], Tags: apiTags(tags) }),
      );
    }
    await client.send(
      new DeregisterImageCommand({
        ImageId: orphan.ImageId,
        ...(isCopy ? { DeleteAssociatedSnapshots: true } : {}),
      }),
    );
    return orphan.ImageId;
  } finally {
    client.destroy();
  }
}
