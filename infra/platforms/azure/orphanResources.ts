/**
 * What a killed run asked Azure to make and did not live to note. Pulumi knows from its state that it had begun, and not
 * whether it came to be; and @pulumi/azure-native makes nothing whose name is taken.
 */

import { z } from "zod";
import type { SubscriptionAccess } from "../../azure/access.ts";
import {
  type ManagerSettings,
  ResourceManager,
  usualManager,
} from "../../azure/resourceManager.ts";
import { exportedStack, providerOf } from "../exportedStack.ts";
import { galleryId, tagNames } from "./azureNames.ts";

/** Something that was asked for. */
export interface AskedForResource {
  readonly access: SubscriptionAccess;
  readonly id: string;
  /** Those that it was to carry; nothing without all of them is touched. */
  readonly tags: Readonly<Record<string, string>>;
}

const providerSchema = z.object({
  subscriptionId: z.string(),
  tenantId: z.string().optional(),
});

const inputsSchema = z.object({
  resourceGroupName: z.string(),
  galleryName: z.string(),
  galleryImageName: z.string().optional(),
  galleryImageVersionName: z.string().optional(),
  tags: z.record(z.string(), z.string()),
});

const types = /^azure-native:compute:Gallery(Image|ImageVersion)?$/;

/**
 * What a run had begun to make when it was killed, what is in something before that. What the state has meanwhile is not
 * named. Pure.
 *
 * @param exported what `pulumi stack export` gives
 */
export function askedForResources(
  exported: unknown,
): readonly AskedForResource[] {
  const stack = exportedStack(exported);
  const known = new Set(
    stack.resources.flatMap(({ id }) => id?.toLowerCase() ?? []),
  );
  return stack.pendingCreates
    .flatMap((resource) => {
      if (!types.test(resource.type)) return [];
      const provider = providerOf(resource, stack);
      // Without its provider nobody can look.
      const settings = providerSchema.safeParse(provider?.inputs);
      const inputs = inputsSchema.safeParse(resource.inputs);
      if (!settings.success || !inputs.success) return [];
      if (inputs.data.tags[tagNames.stack] === undefined) return [];
      const { subscriptionId: subscription, tenantId: tenant } = settings.data;
      const id = idOf(subscription, inputs.data);
      if (known.has(id.toLowerCase())) return [];
      return [{ access: { subscription, tenant }, id, tags: inputs.data.tags }];
    })
    .sort((one, other) => other.id.length - one.id.length);
}

function idOf(
  subscription: string,
  {
    resourceGroupName,
    galleryName,
    galleryImageName,
    galleryImageVersionName,
  }: z.output<typeof inputsSchema>,
): string {
  return [
    galleryId({
      ...{ subscription, resourceGroup: resourceGroupName },
      gallery: galleryName,
    }),
    ...(galleryImageName === undefined ? [] : ["images", galleryImageName]),
    ...(galleryImageVersionName === undefined
      ? []
      : ["versions", galleryImageVersionName]),
  ].join("/");
}

/**
 * Removes something that was asked for, if it came to be and is ours: the next run makes it again and knows it.
 *
 * @returns whether there was something to remove
 * @throws {PublicationError} when Azure refuses, or takes too long.
 */
export async function removeOrphanResource(
  { access, id, tags }: AskedForResource,
  settings: ManagerSettings = usualManager,
): Promise<boolean> {
  const manager = new ResourceManager(access, settings);
  const found = await manager.tagsOf(id);
  if (found === undefined) return false;
  const isOurs = Object.entries(tags).every(
    ([name, value]) => found[name] === value,
  );
  if (isOurs) await manager.remove(id);
  return isOurs;
}
