/** The ways to get a disk into a snapshot, by the names that the configuration has for them. */

import { ebsDirect } from "./ebsDirect.ts";
import type { SnapshotMethod } from "./snapshotRequest.ts";
import { volumeMethod } from "./volumeMethod.ts";

/** Names of the ways. */
export type MethodName = "ebs-direct" | "volume";

/** Each is loaded when it is used. */
export const snapshotMethods: Readonly<
  Record<MethodName, () => Promise<SnapshotMethod>>
> = {
  "ebs-direct": async () => ebsDirect(),
  volume: async () => volumeMethod(),
};
