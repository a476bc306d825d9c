/**
 * Finds out whether kvm works, by running a guest. That /dev/kvm can be opened says little: where
 * processors are virtual themselves, kvm may start a guest and fail at its first unusual instruction,
 * or run it slower than translation would.
 */

import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, truncate, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Architecture, Firmware } from "../../definitions/definition.ts";
import { isNative } from "../nativeArchitecture.ts";
import { machineTypes } from "./machineTypes.ts";
import { probeProgram } from "./probeProgram.ts";
import { probeSector, probeSign } from "./probeSector.ts";
import { machineArguments, optionValue } from "./qemuArguments.ts";
import type { Acceleration } from "./request.ts";

/** Real kvm answers within half a second; translation, in two. In milliseconds. */
const probePatience = 5_000;

/** SeaBIOS reads nothing from a disk of a single sector. */
const probeDiskBytes = 1024 * 1024;

/** Where arm64's machine has its memory, behind the device tree that qemu puts into the first mebibyte. */
const arm64LoadAddress = "0x40200000";

/** The guests that there are: what is in their file, and how qemu gets it. */
const guests: Readonly<
  Partial<
    Record<
      Architecture,
      {
        readonly bytes: Uint8Array;
        readonly arguments: (path: string) => readonly string[];
      }
    >
  >
> = {
  amd64: {
    bytes: probeSector,
    arguments: (path) => [
      "-drive",
      `if=virtio,format=raw,readonly=on,file=${path}`,
    ],
  },
  arm64: {
    bytes: probeProgram,
    arguments: (path) => [
      "-device",
      `loader,file=${path},addr=${arm64LoadAddress},force-raw=on,cpu-num=0`,
    ],
  },
};

/**
 * kvm where a guest proves that it works for this firmware's machine, else tcg. For ppc64el and riscv64 there is no
 * such guest, so far: they are translated even at home.
 */
export async function chooseAcceleration(
  architecture: Architecture,
  firmware: Firmware,
  directory: string,
  signal: AbortSignal,
): Promise<Acceleration> {
  if (!isNative(architecture) || guests[architecture] === undefined) {
    return "tcg";
  }
  const { R_OK, W_OK } = constants;
  const openable = await access("/dev/kvm", R_OK | W_OK).then(
    () => true,
    () => false,
  );
  if (!openable) return "tcg";
  const works = await probe(
    { acceleration: "kvm", architecture, firmware },
    directory,
    signal,
  );
  return works ? "kvm" : "tcg";
}

/**
 * Whether a guest runs its few instructions to their end in time.
 *
 * @param directory takes the guest's file, `probe.raw`
 */
export async function probe(
  machine: {
    readonly acceleration: Acceleration;
    readonly architecture: Architecture;
    readonly firmware: Firmware;
  },
  directory: string,
  signal: AbortSignal,
): Promise<boolean> {
  const disk = join(directory, "probe.raw");
  const guest = guests[machine.architecture];
  if (guest === undefined) return false;
  await writeFile(disk, guest.bytes);
  await truncate(disk, probeDiskBytes);
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const child = spawn(
    "setpriv",
    [
      "--pdeathsig",
      "KILL",
      machineTypes[machine.architecture].program,
      ...["-nodefaults", "-no-user-config", "-display", "none", "-m", "32M"],
      ...machineArguments(machine),
      ...["-serial", "stdio"],
      ...guest.arguments(optionValue(disk)),
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

/**
 * How many processors a guest gets. With kvm, as many as a boot makes use of. Without, one: checks run as many at once
 * as there are cores, and two emulated processors that wait for each other's locks then waste what another check needs
 * (measured, two checks on two cores: 103 s with two processors each, 85 s with one).
 */
export function processorsFor(acceleration: Acceleration): number {
  return acceleration === "kvm" ? Math.min(2, availableParallelism()) : 1;
}
