/**
 * Bare qemu, as one would start it by hand: the same machine as that of our boot check, from the same image, until
 * a login prompt stands on the serial console. Then it is ended by force.
 */

import { mkdir } from "node:fs/promises";
import type {
  Definition,
  Firmware,
} from "../../infra/definitions/definition.ts";
import {
  chooseAcceleration,
  processorsFor,
} from "../../infra/image/bootCheck/acceleration.ts";
import { Console } from "../../infra/image/bootCheck/console.ts";
import { deliveryFor } from "../../infra/image/bootCheck/delivery.ts";
import { newNonce } from "../../infra/image/bootCheck/nonce.ts";
import { prepareFiles } from "../../infra/image/bootCheck/prepare.ts";
import { startQemu } from "../../infra/image/bootCheck/qemu.ts";
import type { Machine } from "../../infra/image/bootCheck/qemuArguments.ts";
import type { Acceleration } from "../../infra/image/bootCheck/request.ts";
import {
  requireAll,
  thisHost,
} from "../../infra/image/bootCheck/requirements.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import { answer } from "./answer.ts";

/** All paths are absolute. */
export interface BareBootRequest {
  readonly rawPath: string;
  readonly rawSha256: Sha256;
  readonly definition: Definition;
  readonly firmware: Firmware;
  /** Takes the overlay and the other files of the machine. */
  readonly directory: string;
  /** What the boot check used; chosen as it would when left out. */
  readonly acceleration?: Acceleration;
}

export interface BareBootResult {
  readonly acceleration: Acceleration;
  /** From qemu's start. */
  readonly loginSeconds: number;
}

await answer(async (request: BareBootRequest): Promise<BareBootResult> => {
  const { definition, directory, firmware } = request;
  const { architecture } = definition;
  const { signal } = new AbortController();
  await mkdir(directory, { recursive: true });
  const check = {
    ...request,
    outputDirectory: directory,
    workDirectory: directory,
    onProgress: () => {},
  };
  await requireAll(check, await thisHost());
  const acceleration =
    request.acceleration ??
    (await chooseAcceleration(architecture, firmware, directory, signal));
  const files = await prepareFiles(
    check,
    { smbiosStrings: [], ...seedOf(definition) },
    directory,
    signal,
  );
  const { memoryMiB, timeoutSeconds } = definition.bootCheck;
  const loginSeconds = await secondsToLogin(
    {
      architecture,
      firmware,
      acceleration,
      memoryMiB,
      processors: processorsFor(acceleration),
      files,
    },
    timeoutSeconds,
  );
  return { acceleration, loginSeconds };
});

/** The seed disc of our boot check, without what has the guest report: cloud-init has the same to do. */
function seedOf({ architecture, bootCheck, classes }: Definition) {
  const report = "credentials";
  const { seed } = deliveryFor(
    { architecture, classes, bootCheck: { ...bootCheck, report } },
    newNonce(),
  );
  return seed === undefined ? {} : { seed };
}

async function secondsToLogin(
  machine: Machine,
  timeoutSeconds: number,
): Promise<number> {
  const started = performance.now();
  const qemu = startQemu(machine);
  const screen = new Console();
  const login = Promise.withResolvers<void>();
  qemu.socket("console").on("data", (chunk: Buffer) => {
    screen.feed(chunk);
    if (/ login: *$/.test(screen.currentLine)) login.resolve();
  });
  const timer = setTimeout(
    () => login.reject(new Error(`No login prompt in ${timeoutSeconds} s.`)),
    timeoutSeconds * 1000,
  );
  qemu.ended.then(({ errorText, exitCode }) =>
    login.reject(new Error(`qemu ended (${exitCode}): ${errorText}`)),
  );
  try {
    await login.promise;
    return (performance.now() - started) / 1000;
  } finally {
    clearTimeout(timer);
    qemu.kill();
    await qemu.ended;
  }
}
