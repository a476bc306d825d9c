/** qemu's machine for each architecture: what it is made of, and which of Debian's packages bring it. Data only. */

import type { Architecture, Firmware } from "../../definitions/definition.ts";
import type { Acceleration } from "./request.ts";

/** One architecture's machine. */
export interface MachineType {
  readonly program: string;
  /** Brings the program; a virtual package where Debian 12 and 13 have it in different ones. */
  readonly debianPackage: string;
  /** The value of qemu's `-machine`. */
  readonly machine: Readonly<Record<Acceleration, string>>;
  /** By acceleration; `either` is for a command that has to work with both. */
  readonly processor: Readonly<Record<Acceleration | "either", string>>;
  /** What a display is recorded from. */
  readonly display: readonly string[];
  /** Where the guest finds the port that it reports on. */
  readonly reportDevice: string;
}

/** The name that udev makes of a virtio port's, below /dev/virtio-ports. */
export const reportPortName = "boot-check.report";

/** The port of machines that have one serial port, or none but a hypervisor's console. */
const virtioReportDevice = `/dev/virtio-ports/${reportPortName}`;

/** Not a VGA: Open Firmware would make it the console, and arm64's machine has no place for one. */
const virtioDisplay = ["-vga", "none", "-device", "virtio-gpu-pci"];

export const machineTypes = {
  amd64: {
    program: "qemu-system-x86_64",
    debianPackage: "qemu-system-x86",
    machine: { kvm: "q35", tcg: "q35" },
    /**
     * With TCG, without cmpxchg16b: qemu 7.2 translates it wrongly, and Linux 6.12, which uses it in its allocator,
     * then oopses within seconds (measured: 6 of 6 boots with it went wrong, none of 9 without). Beyond that, just
     * what every amd64 processor has, which is what Debian is built for.
     */
    processor: {
      kvm: "host",
      tcg: "qemu64,cx16=off",
      // The model `host` would not start where kvm is missing.
      either: "qemu64,cx16=off",
    },
    // Without a VGA, GRUB for BIOS hangs in its menu.
    display: ["-vga", "std"],
    reportDevice: "/dev/ttyS1",
  },
  arm64: {
    program: "qemu-system-aarch64",
    debianPackage: "qemu-system-arm",
    machine: { kvm: "virt,gic-version=host", tcg: "virt" },
    // With atomic instructions, and without pointer authentication, which takes TCG most of its time.
    processor: { kvm: "host", tcg: "neoverse-n1", either: "max" },
    display: virtioDisplay,
    reportDevice: virtioReportDevice,
  },
  ppc64el: {
    program: "qemu-system-ppc64",
    debianPackage: "qemu-system-ppc",
    machine: { kvm: "pseries", tcg: "pseries" },
    processor: { kvm: "host", tcg: "power9", either: "power9" },
    display: virtioDisplay,
    reportDevice: virtioReportDevice,
  },
  riscv64: {
    program: "qemu-system-riscv64",
    // In qemu-system-misc of Debian 12, and in qemu-system-riscv of 13.
    debianPackage: "qemu-system-riscv64",
    machine: { kvm: "virt", tcg: "virt" },
    processor: { kvm: "host", tcg: "rv64", either: "rv64" },
    display: virtioDisplay,
    reportDevice: virtioReportDevice,
  },
} as const satisfies Record<Architecture, MachineType>;

/** The files of a firmware that qemu does not bring itself. */
export interface FirmwareFiles {
  readonly code: string;
  /** What its variables are when the machine is new; absent where it keeps none. */
  readonly variables?: string;
  readonly debianPackage: string;
}

const firmwareFiles: Readonly<
  Record<Architecture, Readonly<Partial<Record<Firmware, FirmwareFiles>>>>
> = {
  amd64: {
    uefi: {
      code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
      variables: "/usr/share/OVMF/OVMF_VARS_4M.fd",
      debianPackage: "ovmf",
    },
    "uefi-secure-boot": {
      code: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
      // With Microsoft's keys enrolled, which Debian's shim is signed by.
      variables: "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
      debianPackage: "ovmf",
    },
  },
  arm64: {
    uefi: {
      code: "/usr/share/AAVMF/AAVMF_CODE.fd",
      variables: "/usr/share/AAVMF/AAVMF_VARS.fd",
      debianPackage: "qemu-efi-aarch64",
    },
    "uefi-secure-boot": {
      code: "/usr/share/AAVMF/AAVMF_CODE.ms.fd",
      variables: "/usr/share/AAVMF/AAVMF_VARS.ms.fd",
      debianPackage: "qemu-efi-aarch64",
    },
  },
  // SLOF comes with qemu.
  ppc64el: {},
  riscv64: {
    "u-boot": {
      code: "/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf",
      debianPackage: "u-boot-qemu",
    },
  },
};

/** The files of a firmware, or `undefined` for one that comes with qemu. */
export function firmwareFilesOf(
  architecture: Architecture,
  firmware: Firmware,
): FirmwareFiles | undefined {
  return firmwareFiles[architecture][firmware];
}
