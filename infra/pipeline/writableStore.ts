/** Whether a store can be written, found out before there is anything to lose. */

import { randomUUID } from "node:crypto";
import type { Store } from "../store/store.ts";

/**
 * Writes something into a store, and takes it away again: a build that cannot be stored would be an hour lost.
 *
 * @throws {StoreError} when the store cannot be reached, read or written.
 */
export async function requireWritableStore(store: Store): Promise<void> {
  const name = `tries/${randomUUID()}`;
  await store.write(name, "Whether this store can be written.\n");
  await store.remove(name);
}
