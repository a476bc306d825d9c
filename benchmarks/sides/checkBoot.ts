/** Our boot check, from its start to the machine's power-off. */

import type {
  Definition,
  Firmware,
} from "../../infra/definitions/definition.ts";
import { checkBoot } from "../../infra/image/bootCheck/checkBoot.ts";
import type { Acceleration } from "../../infra/image/bootCheck/request.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import { answer } from "./answer.ts";

/** All paths are absolute. */
export interface CheckBootRequest {
  readonly rawPath: string;
  readonly rawSha256: Sha256;
  readonly definition: Definition;
  readonly firmware: Firmware;
  /** Takes what the check leaves behind. */
  readonly directory: string;
}

export interface CheckBootResult {
  readonly acceleration: Acceleration;
  /** Seconds from qemu's start. */
  readonly milestoneSeconds: Readonly<Record<string, number>>;
}

await answer(async (request: CheckBootRequest): Promise<CheckBootResult> => {
  const { directory, ...image } = request;
  const { acceleration, milestoneSeconds } = await checkBoot({
    ...image,
    outputDirectory: directory,
    workDirectory: directory,
    onProgress: (message) => console.error(message),
  });
  return { acceleration, milestoneSeconds };
});
