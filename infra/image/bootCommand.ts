/** The command by which people boot an image on a terminal. Pure. */

import type { Architecture, Firmware } from "../definitions/definition.ts";
import { firmwareFilesOf, machineTypes } from "./bootCheck/machineTypes.ts";
import type { Acceleration } from "./bootCheck/request.ts";

/** Where Debian's packages ovmf and qemu-efi-aarch64 have UEFI that needs no file of its own for variables. */
const uefiPrograms: Readonly<Partial<Record<Architecture, string>>> = {
  amd64: "/usr/share/ovmf/OVMF.fd",
  arm64: "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
};

/** What to boot, and on what machine. */
export interface BootCommandRequest {
  /** The image's path, as the command is to have it: only letters, digits and `._/-`. */
  readonly qcow2: string;
  readonly architecture: Architecture;
  readonly memoryMiB: number;
  /** What the machine is known to have; `undefined` for a command that works with either. */
  readonly acceleration?: Acceleration;
  /** With `uefi-secure-boot`, the command's machine has the UEFI, and no Secure Boot. */
  readonly firmware: Firmware;
}

/**
 * The command, an option with its value on each line; the image's file is not written to.
 *
 * @returns lines to be joined by a space, or by ` \` and a line's end
 */
export function bootCommand({
  qcow2,
  architecture,
  memoryMiB,
  acceleration,
  firmware,
}: BootCommandRequest): readonly string[] {
  const { program, machine, processor } = machineTypes[architecture];
  return [
    program,
    `-machine ${machine[acceleration ?? "tcg"]},accel=${acceleration ?? "kvm:tcg"}`,
    `-cpu ${processor[acceleration ?? "either"]}`,
    `-smp 2 -m ${memoryMiB}`,
    ...firmwareOptions(architecture, firmware),
    `-drive if=virtio,snapshot=on,file=${qcow2}`,
    "-nic user,model=virtio-net-pci",
    "-nographic",
  ];
}

function firmwareOptions(
  architecture: Architecture,
  firmware: Firmware,
): readonly string[] {
  if (firmware === "bios" || firmware === "open-firmware") return [];
  if (firmware === "u-boot") {
    return [`-kernel ${firmwareFilesOf(architecture, firmware)?.code}`];
  }
  return [`-bios ${uefiPrograms[architecture]}`];
}
