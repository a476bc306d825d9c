/** The ways to get a disk into a snapshot, by the names that the configuration has for them. */

import type { SnapshotMethod } from "./snapshotRequest.ts";

/** Names of the ways. */
export type MethodName = "ebs-direct" | "volume";

/** Each is loaded when it is used. */
export const snapshotMethods: Readonly<
  Record<MethodName, () => Promise<SnapshotMethod>>
> = {
  "ebs-direct": async () => (await import("./ebsDirect.ts")).ebsDirect(),
  volume: async () => (await import("./volumeMethod.ts")).volumeMethod(),
};
