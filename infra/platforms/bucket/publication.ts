/** Publications in a bucket: those of a tree. */

import { createHash } from "node:crypto";
import { s3Addresses } from "../../aws/bucketAddress.ts";
import { BucketObjects } from "../../aws/bucketObjects.ts";
import { projectPath } from "../../projectPaths.ts";
import { openStore } from "../../store/openStore.ts";
import {
  examine as examineIn,
  type PublicationInputs,
  type Published,
  publish as publishIn,
  refreshIndex as refreshIndexOf,
  type TreeAddress,
  type TreePlace,
  withdraw as withdrawFrom,
} from "../tree/publication.ts";
import { BucketTree } from "./bucketTree.ts";

/** What the resource is given: its root is the bucket's address. */
export type BucketPublicationInputs = PublicationInputs;

/** Files on their way. */
const draftsDirectory = ".cache/drafts";

/** Those that this process has used, by the bucket's address: each has its connections. */
const buckets = new Map<string, BucketObjects>();

/** See {@link publishIn}. */
export async function publish(
  inputs: BucketPublicationInputs,
): Promise<Published> {
  return publishIn(placeOf(inputs), inputs);
}

/** See {@link examineIn}. Files are judged by the checksums that S3 has of them. */
export async function examine(
  inputs: BucketPublicationInputs,
): Promise<string[]> {
  return examineIn(placeOf(inputs), inputs);
}

/** See {@link withdrawFrom}. */
export async function withdraw(inputs: BucketPublicationInputs): Promise<void> {
  return withdrawFrom(placeOf(inputs), inputs);
}

/** See {@link refreshIndexOf}. */
export async function refreshIndex(tree: TreeAddress): Promise<void> {
  return refreshIndexOf(placeOf(tree));
}

function placeOf({ root, store }: TreeAddress): TreePlace {
  const identity = s3Addresses.identityOf(root);
  const digest = createHash("sha256").update(identity).digest("hex");
  const { prefix, ...access } = s3Addresses.placeOf(root);
  const objects = buckets.get(root) ?? new BucketObjects(access);
  buckets.set(root, objects);
  return {
    platform: "bucket",
    tree: new BucketTree(objects, prefix, projectPath(draftsDirectory)),
    store: openStore(store),
    lock: `bucket-${digest.slice(0, 12)}`,
    isRoot: (other) =>
      typeof other === "string" &&
      s3Addresses.is(other) &&
      s3Addresses.identityOf(other) === identity,
  };
}
