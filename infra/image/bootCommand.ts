/** The command by which people boot an image on a terminal. Pure. */

import { cpuModels } from "./bootCheck/qemuArguments.ts";
import type { Acceleration } from "./bootCheck/request.ts";

/** Where Debian's package ovmf has UEFI that needs no file of its own for variables. */
const uefi = "/usr/share/ovmf/OVMF.fd";

/** What to boot, and on what machine. */
export interface BootCommandRequest {
  /** The image's path, as the command is to have it: only letters, digits and `._/-`. */
  readonly qcow2: string;
  readonly memoryMiB: number;
  /** What the machine is known to have; `undefined` for a command that works with either. */
  readonly acceleration?: Acceleration;
  readonly firmware: "bios" | "uefi";
}

/**
 * The command, an option with its value on each line; the image's file is not written to.
 *
 * @returns lines to be joined by a space, or by ` \` and a line's end
 */
export function bootCommand({
  qcow2,
  memoryMiB,
  acceleration,
  firmware,
}: BootCommandRequest): readonly string[] {
  return [
    "qemu-system-x86_64",
    `-machine q35,accel=${acceleration ?? "kvm:tcg"}`,
    `-cpu ${cpuModels[acceleration ?? "tcg"]}`,
    `-smp 2 -m ${memoryMiB}`,
    ...(firmware === "uefi" ? [`-bios ${uefi}`] : []),
    `-drive if=virtio,snapshot=on,file=${qcow2}`,
    "-nic user,model=virtio-net-pci",
    "-nographic",
  ];
}
