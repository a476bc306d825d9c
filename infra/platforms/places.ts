/** Where a stack publishes to: the one list of the platforms. */

import type { StackConfig } from "../config.ts";
import { bucketPlace } from "./bucket/bucketPlace.ts";
import { directoryPlace } from "./directory/directoryPlace.ts";
import type { Place } from "./platform.ts";

/**
 * All places of a stack, in the order in which they are shown. What a platform needs of a provider's package is loaded
 * only for stacks that have it.
 */
export async function placesOf({
  directory,
  bucket,
  ec2,
  gce,
  openstack,
  azure,
}: StackConfig): Promise<readonly Place[]> {
  return [
    ...(directory === undefined ? [] : [directoryPlace(directory)]),
    ...(bucket === undefined ? [] : [bucketPlace(bucket)]),
    ...(ec2 === undefined
      ? []
      : (await import("./ec2/ec2Place.ts")).ec2Places(ec2)),
    ...(gce === undefined
      ? []
      : await (await import("./gce/gcePlace.ts")).gcePlaces(gce)),
    ...(openstack === undefined
      ? []
      : (await import("./openstack/openstackPlace.ts")).openstackPlaces(
          openstack,
        )),
    ...(azure === undefined
      ? []
      : (await import("./azure/azurePlace.ts")).azurePlaces(azure)),
  ];
}
