/** Stores by their address: one text, which resources carry as an input. */

import { createHash } from "node:crypto";
import type { Difference } from "../dynamic/provider.ts";
import { StoreError } from "../errors.ts";
import { projectPath } from "../projectPaths.ts";
import { DirectoryStore } from "./directoryStore.ts";
import { S3Store } from "./s3Store.ts";
import type { Store } from "./store.ts";
import {
  type S3StoreConfig,
  type StoreConfig,
  s3StoreConfigSchema,
} from "./storeConfig.ts";

const s3Scheme = "s3://";

/** Below it, each store that is not on this machine has a directory for the artifacts that are. */
const cachesDirectory = ".cache/store";

/** Those that this process opened: each has its connections. */
const s3Stores = new Map<string, S3Store>();

/**
 * The store that a stack's configuration describes, as one text without secrets: what resources are given, and
 * {@link openStore} takes. The same for the same configuration: a path, or `s3://bucket/prefix?region=…`, with the other
 * settings sorted by name.
 */
export function storeAddress({ directory, s3 }: StoreConfig): string {
  if (s3 === undefined) return directory;
  const { bucket, prefix, ...access } = s3;
  const settings = new URLSearchParams();
  for (const [name, value] of Object.entries(access)) {
    if (value !== undefined) settings.set(name, value);
  }
  settings.sort();
  return `${identityOf(bucket, prefix)}?${settings}`;
}

/** The store at an address: a bucket, or a directory, of which a relative one counts from the repository's root. */
export function openStore(address: string): Store {
  if (!address.startsWith(s3Scheme)) {
    return new DirectoryStore(projectPath(address));
  }
  const known = s3Stores.get(address);
  if (known !== undefined) return known;
  const config = s3ConfigOf(address);
  const store = new S3Store(config, { cache: cacheOf(config) });
  s3Stores.set(address, store);
  return store;
}

/**
 * What another address of the store, under the input `store`, means for a resource: another store calls for a new one, while
 * a bucket that is reached in another way, by another profile or role, is still the same.
 */
export function storeDifference(before: string, after: string): Difference {
  if (before === after) return { replaces: [], updates: [] };
  const isOther = storeIdentity(before) !== storeIdentity(after);
  return isOther
    ? { replaces: ["store"], updates: [] }
    : { replaces: [], updates: ["store"] };
}

/** What of an address says which store it is: not how it is reached. */
function storeIdentity(address: string): string {
  if (!address.startsWith(s3Scheme)) return address;
  const { bucket, prefix, endpoint } = s3ConfigOf(address);
  const name = identityOf(bucket, prefix);
  return endpoint === undefined ? name : `${name} at ${endpoint}`;
}

function identityOf(bucket: string, prefix: string | undefined): string {
  return `${s3Scheme}${bucket}${prefix === undefined ? "" : `/${prefix}`}`;
}

/** @throws {StoreError} for an address that {@link storeAddress} does not give. */
function s3ConfigOf(address: string): S3StoreConfig {
  const [place = "", settings = ""] = address.slice(s3Scheme.length).split("?");
  const [bucket, ...steps] = place.split("/");
  const config = s3StoreConfigSchema.safeParse({
    ...Object.fromEntries(new URLSearchParams(settings)),
    bucket,
    ...(steps.length === 0 ? {} : { prefix: steps.join("/") }),
  });
  if (config.success) return config.data;
  throw new StoreError(
    `${JSON.stringify(address)} is no address of a store: ${config.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}. Correct cloud-images:store in the stack's configuration.`,
  );
}

function cacheOf(config: S3StoreConfig): string {
  const digest = createHash("sha256")
    .update(storeIdentity(storeAddress({ s3: config })))
    .digest("hex");
  return projectPath(`${cachesDirectory}/${digest.slice(0, 16)}`);
}
