/** A bucket as a place of a stack. */

import { s3Addresses } from "../../aws/bucketAddress.ts";
import type { Place } from "../platform.ts";
import { treePlace } from "../tree/treePlace.ts";
import type { BucketConfig } from "./bucketConfig.ts";

/** The published tree in a bucket. */
export function bucketPlace({
  name: bucket,
  formats,
  ...access
}: BucketConfig): Place {
  const place = { bucket, ...access };
  return treePlace({
    platform: "bucket",
    root: s3Addresses.of(place),
    shownRoot: s3Addresses.shown(place),
    isHere: false,
    formats,
    resource: [
      "platforms/bucket/bucketPublicationProvider.ts",
      "BucketPublication",
    ],
    refreshIndex: async (tree) =>
      (await import("./publication.ts")).refreshIndex(tree),
  });
}
