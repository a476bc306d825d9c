/** Who works on an image in a cloud: one process at a time, and one of its parts. */

import { createHash } from "node:crypto";
import type { CloudAccess } from "../../openstack/cloud.ts";
import { openStore } from "../../store/openStore.ts";
import { type ImageIdentity, identityProperties } from "./glanceNames.ts";

/** An image, the cloud that it is in, and the store's address. */
export interface LockedImage extends ImageIdentity {
  readonly access: CloudAccess;
  readonly store: string;
}

/** Whoever holds the lock may be sending a disk of many GiB over a slow line. */
const patienceSeconds = 6 * 3600;

/**
 * Runs where nobody else, in this process or another, works on the same image.
 *
 * @throws {StoreError} when somebody does for too long.
 */
export function withImageLock<T>(
  image: LockedImage,
  use: () => Promise<T>,
): Promise<T> {
  const digest = createHash("sha256")
    .update(JSON.stringify([identityProperties(image), image.access]))
    .digest("hex");
  return openStore(image.store).withLock(
    `openstack-image-${digest.slice(0, 32)}`,
    patienceSeconds,
    use,
  );
}
