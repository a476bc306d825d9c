/**
 * The documents a store keeps about each key and each publication. The program, retention and every
 * catalogue are made from these and from nothing else.
 *
 *     builds/<key>/build.json                    BuildRecord
 *     builds/<key>/build.log                     everything FAI and the assembly said
 *     builds/<key>/formats/<format>.json         FormatRecord
 *     builds/<key>/boot-checks/<firmware>.json   BootCheckRecord
 *     builds/<key>/boot-checks/<firmware>.log    the whole serial console
 *     builds/<key>/boot-checks/<firmware>.png    the display when the check ended
 *     builds/<key>/boot-checks/<firmware>.xml    JUnit
 *     builds/<key>/holders/<holder>.json         HolderRecord: which stacks declare the key
 *     publications/<platform>/<definition>/<version>.json   PublicationRecord
 */

import type {
  Definition,
  Firmware,
  ImageKey,
  ImageVersion,
} from "../definitions/definition.ts";
import type { Artifact } from "./store.ts";

/** Files made from the raw image. `tar.zst` is a sparse tar of `disk.raw`, compressed by zstd. */
export const formats = ["tar.zst", "qcow2"] as const;
export type Format = (typeof formats)[number];

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** One key, built. */
export interface BuildRecord {
  readonly key: ImageKey;
  readonly version: ImageVersion;
  readonly definition: Definition;
  /** ISO 8601, UTC. */
  readonly builtAt: string;
  /** The state of the package archive: suite to digest, as it went into the key. */
  readonly archive: Readonly<Record<string, string>>;
  readonly raw: Artifact;
  readonly packages: readonly Package[];
  /** Seconds spent in each phase, in order. */
  readonly phaseSeconds: Readonly<Record<string, number>>;
  /** Versions of the programs that took part: `fai-client`, `mmdebstrap`, `e2fsprogs`, … */
  readonly tools: Readonly<Record<string, string>>;
}

export interface FormatRecord {
  readonly format: Format;
  /** The raw image it was made from. */
  readonly rawSha256: string;
  readonly artifact: Artifact;
}

/** One passed boot check. A failed one leaves no record. */
export interface BootCheckRecord {
  readonly firmware: Firmware;
  readonly rawSha256: string;
  /** ISO 8601, UTC. */
  readonly checkedAt: string;
  readonly acceleration: "kvm" | "tcg";
  /** Seconds from qemu's start to each milestone, in order: `firmware`, `kernel`, `systemd`, `report`, `off`. */
  readonly milestoneSeconds: Readonly<Record<string, number>>;
  /** `systemctl is-system-running`: always `running` in a record. */
  readonly systemState: string;
  readonly units: {
    readonly active: number;
    readonly failed: readonly string[];
  };
  readonly kernel: string;
  readonly rootSizeBytes: number;
  readonly secureBoot: boolean;
}

/** One stack that declares a key; a build goes only when no holder is left. */
export interface HolderRecord {
  readonly stack: string;
}

/** One version made available on one platform: written when complete and verified, removed with it. */
export interface PublicationRecord {
  readonly platform: "directory";
  /** `organization/project/stack` that made it. */
  readonly stack: string;
  readonly key: ImageKey;
  readonly version: ImageVersion;
  readonly definition: Definition;
  /** ISO 8601, UTC. */
  readonly publishedAt: string;
  /** What the platform's own resource was given, so that an older version can be declared again unchanged. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** What was made available. */
  readonly files: readonly PublishedFile[];
}

export interface PublishedFile {
  /** Relative to the publication's root: `trixie/20261121-0312/debian-13-….qcow2`. */
  readonly path: string;
  readonly sizeBytes: number;
  /** 128 hex digits. */
  readonly sha512: string;
}
