/** Stores by their address: one text, which resources carry as an input. */

import { createHash } from "node:crypto";
import {
  bucketAddress,
  bucketIdentity,
  bucketPlaceOf,
  isBucketAddress,
  placeDifference,
} from "../aws/bucketAddress.ts";
import type { Difference } from "../dynamic/provider.ts";
import { projectPath } from "../projectPaths.ts";
import { DirectoryStore } from "./directoryStore.ts";
import { S3Store } from "./s3Store.ts";
import type { Store } from "./store.ts";
import type { StoreConfig } from "./storeConfig.ts";

/** Below it, each store that is not on this machine has a directory for the artifacts that are. */
const cachesDirectory = ".cache/store";

/** Those that this process opened: each has its connections. */
const s3Stores = new Map<string, S3Store>();

/**
 * The store that a stack's configuration describes, as one text without secrets: what resources are given, and
 * {@link openStore} takes. A path, or the address of a bucket.
 */
export function storeAddress({ directory, s3 }: StoreConfig): string {
  return s3 === undefined ? directory : bucketAddress(s3);
}

/** The store at an address: a bucket, or a directory, of which a relative one counts from the repository's root. */
export function openStore(address: string): Store {
  if (!isBucketAddress(address)) {
    return new DirectoryStore(projectPath(address));
  }
  const known = s3Stores.get(address);
  if (known !== undefined) return known;
  const store = new S3Store(bucketPlaceOf(address), {
    cache: cacheOf(address),
  });
  s3Stores.set(address, store);
  return store;
}

/** What another store means for a resource that has it as the input `store`. */
export function storeDifference(before: string, after: string): Difference {
  return placeDifference("store", before, after, (address) =>
    isBucketAddress(address) ? bucketIdentity(address) : address,
  );
}

function cacheOf(address: string): string {
  const digest = createHash("sha256")
    .update(bucketIdentity(address))
    .digest("hex");
  return projectPath(`${cachesDirectory}/${digest.slice(0, 16)}`);
}
