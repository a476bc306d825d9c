/** What passes between the program and the build that it runs inside a namespace of its own. */

import type { Definition, ImageKey } from "../../definitions/definition.ts";
import type { Package } from "../../store/records.ts";
import type { ArchiveState } from "../archive.ts";

/** One build. All paths are absolute. */
export interface BuildRequest {
  readonly definition: Definition;
  readonly key: ImageKey;
  readonly archive: ArchiveState;
  /** Digest over the builder's sources. */
  readonly builder: string;
  /** The config space: `image-definitions/fai`. */
  readonly configSpace: string;
  /** Gets `disk.raw`; an empty directory on the store's file system. */
  readonly outputDirectory: string;
  /** Base systems and packages, kept between builds; may be deleted at any time. */
  readonly cacheDirectory: string;
}

/** A build as it is started: with a directory of the cache that is nobody else's. */
export interface StartedBuild extends BuildRequest {
  /** Its name in the cache directory. */
  readonly privateDirectory: string;
}

/** The steps of a build, in order; each layer has shared packages of its own. */
export type Phase =
  | "prepare"
  | "base system"
  | "shared packages"
  | "package lists"
  | "download"
  | "packages"
  | "scripts"
  | "disk";

/** What the build says of itself while it runs, one JSON object a line. */
export type BuildEvent =
  | { readonly kind: "phase"; readonly phase: Phase }
  | { readonly kind: "packages"; readonly done: number; readonly all: number }
  /** It waits for another build, and needs no core. */
  | { readonly kind: "waiting" }
  /** It could go on, and does as soon as a line comes on its standard input. */
  | { readonly kind: "ready" }
  | { readonly kind: "result"; readonly result: BuildResult }
  | { readonly kind: "failure" };

/** What a finished build reports besides the disk itself. */
export interface BuildResult {
  readonly packages: readonly Package[];
  /** Versions of the programs of this machine that took part. */
  readonly tools: Readonly<Record<string, string>>;
}
