/** Stores by their address: one text, which resources carry as an input. */

import { createHash } from "node:crypto";
import { s3Addresses } from "../aws/bucketAddress.ts";
import { blobAddresses } from "../azure/blobAddress.ts";
import type { Difference } from "../dynamic/provider.ts";
import { UserError } from "../errors.ts";
import { gcsAddresses } from "../google/bucketAddress.ts";
import { projectPath } from "../projectPaths.ts";
import type { Bucket } from "./bucket.ts";
import { BucketStore, type BucketStoreOptions } from "./bucketStore.ts";
import { DirectoryStore } from "./directoryStore.ts";
import {
  type BucketPlace,
  type PlaceAddresses,
  placeDifference,
} from "./placeAddress.ts";
import type { Store } from "./store.ts";
import type { StoreConfig } from "./storeConfig.ts";

/** Below it, each store that is not on this machine has a directory for the artifacts that are. */
const cachesDirectory = ".cache/store";

/** What has buckets. */
interface BucketService {
  isAddress(text: string): boolean;
  /** See {@link PlaceAddresses.identityOf}. */
  identityOf(address: string): string;
  storeAt(address: string, options: BucketStoreOptions): BucketStore;
}

/** SDKs are loaded by whoever needs a bucket, and not by those who only name a store. */
const services: readonly BucketService[] = [
  serviceOf(s3Addresses, async (place) => {
    const { BucketObjects } = await import("../aws/bucketObjects.ts");
    return new BucketObjects(place);
  }),
  serviceOf(gcsAddresses, async (place) => {
    const { CloudStorageBucket } = await import("../google/bucketObjects.ts");
    return CloudStorageBucket.open(place);
  }),
  serviceOf(blobAddresses, async (place) => {
    const { BlobBucket } = await import("../azure/blobBucket.ts");
    return BlobBucket.open(place);
  }),
];

/** Those that this process opened: each has its connections. */
const bucketStores = new Map<string, BucketStore>();

/**
 * The store that a stack's configuration describes, as one text without secrets: what resources are given, and
 * {@link openStore} takes. A path, or the address of a bucket.
 */
export function storeAddress(config: StoreConfig): string {
  if ("s3" in config) return s3Addresses.of(config.s3);
  if ("gcs" in config) return gcsAddresses.of(config.gcs);
  if ("azureBlob" in config) return blobAddresses.of(config.azureBlob);
  return config.directory;
}

/** The store at an address: a bucket, or a directory, of which a relative one counts from the repository's root. */
export function openStore(address: string): Store {
  const service = serviceFor(address);
  if (service === undefined) return new DirectoryStore(projectPath(address));
  const known = bucketStores.get(address);
  if (known !== undefined) return known;
  const store = service.storeAt(address, {
    cache: cacheOf(service.identityOf(address)),
  });
  bucketStores.set(address, store);
  return store;
}

/**
 * The store in a bucket, opened anew: as another machine would, with a cache of its own.
 * @throws {UserError} when that is no bucket's address.
 */
export function openBucketStore(
  address: string,
  options: BucketStoreOptions,
): BucketStore {
  const service = serviceFor(address);
  if (service !== undefined) return service.storeAt(address, options);
  throw new UserError(
    `${JSON.stringify(address)} is no address of a bucket. Correct it.`,
  );
}

/** What another store means for a resource that has it as the input `store`. */
export function storeDifference(before: string, after: string): Difference {
  return placeDifference(
    "store",
    before,
    after,
    (address) => serviceFor(address)?.identityOf(address) ?? address,
  );
}

function serviceFor(address: string): BucketService | undefined {
  return services.find((service) => service.isAddress(address));
}

function serviceOf<Place extends BucketPlace>(
  addresses: PlaceAddresses<Place>,
  open: (place: Place) => Promise<Bucket>,
): BucketService {
  return {
    isAddress: (text) => addresses.is(text),
    identityOf: (address) => addresses.identityOf(address),
    storeAt(address, options) {
      const place = addresses.placeOf(address);
      const location = addresses.shown(place);
      const { prefix } = place;
      return new BucketStore(
        { location, prefix, open: () => open(place) },
        options,
      );
    },
  };
}

function cacheOf(identity: string): string {
  const digest = createHash("sha256").update(identity).digest("hex");
  return projectPath(`${cachesDirectory}/${digest.slice(0, 16)}`);
}
