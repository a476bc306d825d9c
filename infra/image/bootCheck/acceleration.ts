/**
 * Finds out whether kvm works, by running a guest. That /dev/kvm can be opened says little: where
 * processors are virtual themselves, kvm may start a guest and fail at its first unusual instruction,
 * or run it slower than translation would.
 */

import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Firmware } from "../../definitions/definition.ts";
import { probeSector, probeSign } from "./probeSector.ts";
import { qemuProgram } from "./qemu.ts";
import { machineArguments } from "./qemuArguments.ts";
import type { Acceleration } from "./request.ts";

/** Real kvm answers within half a second; translation, in two. In milliseconds. */
const probePatience = 5_000;

/** SeaBIOS reads nothing from a disk of a single sector. */
const probeDiskBytes = 1024 * 1024;

/** kvm where a guest proves that it works for this firmware's machine, else tcg. */
export async function chooseAcceleration(
  firmware: Firmware,
  directory: string,
  signal: AbortSignal,
): Promise<Acceleration> {
  const { R_OK, W_OK } = constants;
  const openable = await access("/dev/kvm", R_OK | W_OK).then(
    () => true,
    () => false,
  );
  if (!openable) return "tcg";
  const works = await probe("kvm", firmware, directory, signal);
  return works ? "kvm" : "tcg";
}

/**
 * Whether a guest runs its few instructions to their end in time.
 *
 * @param directory takes the guest's disk, `probe.raw`
 */
export async function probe(
  acceleration: Acceleration,
  firmware: Firmware,
  directory: string,
  signal: AbortSignal,
): Promise<boolean> {
  const disk = join(directory, "probe.raw");
  await writeFile(disk, probeSector);
  await truncate(disk, probeDiskBytes);
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const child = spawn(
    "setpriv",
    [
      "--pdeathsig",
      "KILL",
      qemuProgram,
      ...probeArguments(acceleration, firmware, disk),
    ],
    { detached: true, stdio: ["ignore", "pipe", "ignore"] },
  );
  let said = "";
  child.stdout.on("data", (data: Buffer) => {
    said += data.toString("latin1");
    if (said.includes(probeSign)) resolve(true);
  });
  child.on("error", () => resolve(false));
  child.on("close", () => resolve(false));
  const stop = () => resolve(false);
  const timer = setTimeout(stop, probePatience);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    child.kill("SIGKILL");
  }
}

function probeArguments(
  acceleration: Acceleration,
  firmware: Firmware,
  disk: string,
): readonly string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-m", "32M"],
    ...machineArguments({ acceleration, firmware }),
    ...["-serial", "stdio"],
    "-drive",
    `if=virtio,format=raw,readonly=on,file=${disk.replaceAll(",", ",,")}`,
  ];
}
