/** Where a stack publishes to: the one list of the platforms. */

import type { StackConfig } from "../config.ts";
import { bucketPlace } from "./bucket/bucketPlace.ts";
import { directoryPlace } from "./directory/directoryPlace.ts";

import type { Place } from "./platform.ts";

/** All places of a stack, in the order in which they are shown. Pure. */
export function placesOf({ directory, bucket }: StackConfig): readonly Place[] {
  return [
    ...(directory === undefined ? [] : [directoryPlace(directory)]),
    ...(bucket === undefined ? [] : [bucketPlace(bucket)]),
  ];
}
