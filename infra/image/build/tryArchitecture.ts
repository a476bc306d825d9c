/**
 * Says whether programs of an architecture can run in a build: `node tryArchitecture.ts ARCHITECTURE`, in a user
 * and mount namespace. The exit code is 0, or standard error has the reason.
 */

import type { Architecture } from "../../definitions/definition.ts";
import { enableArchitecture } from "./foreignPrograms.ts";
import { mountTmpfs } from "./privateMounts.ts";

try {
  // As in a build: one that programs can be started from, and that goes with the namespace.
  await mountTmpfs("/tmp");
  await enableArchitecture(process.argv[2] as Architecture);
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : error);
}
