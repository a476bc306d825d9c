/** Where everything lies while a build runs: one mount point in the build's own memory. Pure. */

import { join } from "node:path";
/** Absolute paths, as they are inside the build's namespace. */
export interface Workspace {
  /** The root file system to be. */
  readonly target: string;
  /** The builder's own directory, with its programs. */
  readonly builder: string;
  /** The config space of the repository. */
  readonly configSource: string;
  /** A copy of it, with what this build adds. */
  readonly configSpace: string;
  /** For small files of the build, and for the assembly. */
  readonly scratch: string;
  /** Base systems and packages of all builds; on a disk. */
  readonly cache: string;
  /** What is this build's alone, and on the cache's disk: packages for apt, a base system in the making. */
  readonly archives: string;
  /** Where the finished disk goes; on the store's disk. */
  readonly output: string;
}

/** Names the parts of the workspace at a mount point. */
export function workspaceAt(root: string, privateDirectory: string): Workspace {
  const cache = join(root, "cache");
  return {
    target: join(root, "target"),
    builder: join(root, "builder"),
    configSource: join(root, "configSource"),
    configSpace: join(root, "config"),
    scratch: join(root, "scratch"),
    cache,
    archives: join(cache, privateDirectory),
    output: join(root, "output"),
  };
}
