/** What one boot check is asked to do. */

import type { Definition, Firmware } from "../../definitions/definition.ts";
import type { Sha256 } from "../../store/store.ts";

/** How qemu runs the guest's instructions: in the processor, or translated one by one. */
export type Acceleration = "kvm" | "tcg";

/** One image under one firmware. Paths may be relative to the current directory. */
export interface BootCheckRequest {
  /** The raw image; only ever read. */
  readonly rawPath: string;
  readonly rawSha256: Sha256;
  readonly definition: Definition;
  readonly firmware: Firmware;
  /**
   * Gets `<firmware>.log` (the whole serial console, as it came), `<firmware>.png` (the display) and
   * `<firmware>.xml` (JUnit), also when the check fails. Made when it does not exist.
   */
  readonly outputDirectory: string;
  /**
   * Holds the private directory of the running check. What checks that were killed left in it is
   * removed by the next one. Made when it does not exist.
   */
  readonly workDirectory: string;
  /** Told of each milestone, one line for people. */
  readonly onProgress: (message: string) => void;
  /** Leave out to use kvm where it works. */
  readonly acceleration?: Acceleration;
}

/** Paths of what a check leaves in its output directory. */
export interface OutputFiles {
  readonly console: string;
  readonly screenshot: string;
  readonly junit: string;
}
