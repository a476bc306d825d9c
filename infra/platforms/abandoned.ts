/**
 * What a killed run had begun to make and nobody goes on with, as its image is never built again: half a file, a snapshot,
 * or all of it and no record. A run that still wants it finds it by itself, and goes on with it; so this is asked after one
 * that came to a good end.
 */

import { isDeepStrictEqual } from "node:util";
import { type Implementation, moduleOf } from "../dynamic/provider.ts";
import { exportedStack } from "./exportedStack.ts";

const ofPlace = ["stack", "key", "definition", "channel", "place"];

/**
 * Modules of resources that find what is theirs by their inputs alone, and remove nothing else; and the inputs that they
 * find it by. One of another place in the same region of EC2 would be found, too.
 */
const identities: Readonly<Record<string, readonly string[]>> = {
  "platforms/azure/pageBlobProvider.ts": ofPlace,
  "platforms/ec2/ebsSnapshotProvider.ts": ["stack", "key", "amiName"],
  "platforms/gce/gceImageProvider.ts": ofPlace,
  "platforms/openstack/glanceImageProvider.ts": ofPlace,
};

/** Something that may be there, of a resource that is not in the state. */
export interface Abandoned {
  /** Below `infra/`. */
  readonly module: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/**
 * What a killed run had begun to make, and the state does not have. Pure.
 *
 * @param exported what `pulumi stack export` gives after a run that came to a good end
 */
export function abandonedIn(exported: unknown): readonly Abandoned[] {
  const { resources, pendingCreates } = exportedStack(exported);
  const found = pendingCreates.flatMap(({ urn, type, inputs }): Abandoned[] => {
    const module = moduleOf(inputs.__provider);
    const identity = module === undefined ? undefined : identities[module];
    if (module === undefined || identity === undefined) return [];
    const isKept = resources.some(
      (resource) =>
        resource.urn === urn ||
        (resource.type === type &&
          identity.every((name) =>
            isDeepStrictEqual(resource.inputs[name], inputs[name]),
          )),
    );
    return isKept ? [] : [{ module, inputs }];
  });
  // A run that is killed twice has begun twice.
  return found.filter(
    (each, index) =>
      found.findIndex((other) => isDeepStrictEqual(other, each)) === index,
  );
}

/**
 * Removes it, as if its image had been retired.
 *
 * @throws what the cloud says when it cannot be removed.
 */
export async function removeAbandoned({
  module,
  inputs,
}: Abandoned): Promise<void> {
  const url = new URL(`../${module}`, import.meta.url).href;
  const { implementation } = (await import(url)) as {
    // biome-ignore lint/suspicious/noExplicitAny: the state has what the module's own types say
    implementation: Implementation<any, any>;
  };
  await implementation.delete("", inputs);
}
