/** What was seen of one boot, whether it went well or not. Types only. */

import type { ConsoleMilestone, SignSeen } from "./console.ts";
import type { ReportState } from "./report.ts";
import type { Acceleration } from "./request.ts";

/** How a run ended; all but `off` are failures. */
export type Ending =
  /** The guest switched the machine off. */
  | { readonly kind: "off" }
  /** The guest reset the machine: a crash, or a boot loader or kernel that starts over. */
  | { readonly kind: "reset" }
  | { readonly kind: "sign"; readonly seen: SignSeen }
  | { readonly kind: "time-limit"; readonly seconds: number }
  /** Root could not log in on the console. */
  | { readonly kind: "login"; readonly reason: string }
  | { readonly kind: "report"; readonly reason: string }
  /** qemu ended by itself, or did not start. */
  | { readonly kind: "qemu"; readonly reason: string };

export type Milestone = ConsoleMilestone | "report" | "off";

/** One boot, seen from outside. */
export interface Observation {
  readonly ending: Ending;
  readonly acceleration: Acceleration;
  /** Seconds from qemu's start, in order of time. */
  readonly milestoneSeconds: Readonly<Partial<Record<Milestone, number>>>;
  readonly durationSeconds: number;
  /** All that came on the second serial port, judged at the end. */
  readonly report: ReportState;
  /** Whether the kernel said on the console that it switches the machine off. */
  readonly poweredDown: boolean;
  /** qemu's own; `null` when it was killed. */
  readonly exitCode: number | null;
  /** The console's last lines. */
  readonly consoleTail: readonly string[];
  /** The last lines of SeaBIOS's debug port, which say why nothing came on the console. */
  readonly firmwareTail: readonly string[];
  /** Whether there is a picture of the display. */
  readonly hasScreenshot: boolean;
}
