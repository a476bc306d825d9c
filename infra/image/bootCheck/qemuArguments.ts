/** The command line of the machine that an image is checked in. Pure. */

import type { Architecture, Firmware } from "../../definitions/definition.ts";
import {
  firmwareFilesOf,
  machineTypes,
  reportPortName,
} from "./machineTypes.ts";
import { guestNetwork } from "./network.ts";
import type { Acceleration } from "./request.ts";

/** Everything that decides the machine. Paths are absolute. */
export interface Machine {
  readonly architecture: Architecture;
  readonly firmware: Firmware;
  readonly acceleration: Acceleration;
  readonly memoryMiB: number;
  readonly processors: number;
  readonly files: MachineFiles;
}

export interface MachineFiles {
  /** qcow2 over the image; takes all writes. */
  readonly overlay: string;
  /** This machine's own UEFI variables; unused where the firmware keeps none. */
  readonly variables: string;
  /** A disk that holds the guest script and nothing else. */
  readonly script: string;
  /** A NoCloud seed disc, for images with cloud-init. */
  readonly seed?: string;
  /** Texts for SMBIOS "OEM strings", where systemd looks for credentials. */
  readonly smbiosStrings: readonly string[];
}

/** Sockets that qemu inherits, by their file descriptors. */
export const descriptors = {
  /** First serial port. */
  console: 3,
  /** Second serial port, or a virtio port. */
  report: 4,
  /** QMP. */
  control: 5,
  /** What SeaBIOS says on its debug port; it has no serial console. Nothing comes with other firmware. */
  firmware: 6,
} as const;

/** What a virtio disk's serial makes of it: /dev/disk/by-id/virtio-boot-check. */
const scriptSerial = "boot-check";

/** The guest script's disk, as the guest sees it. */
export const scriptDevice = `/dev/disk/by-id/virtio-${scriptSerial}`;

/** SeaBIOS's debug port (its CONFIG_DEBUG_IO). */
const seabiosDebugPort = "0x402";

/** qemu's arguments for the machine; each option and its value side by side. */
export function qemuArguments(machine: Machine): readonly string[] {
  return [
    ...["-nodefaults", "-no-user-config"],
    ...["-name", "boot-check"],
    ...machineArguments(machine),
    ...["-m", `${machine.memoryMiB}M`],
    ...["-smp", `${machine.processors}`],
    ...["-rtc", "base=utc"],
    ...machineTypes[machine.architecture].display,
    ...["-display", "none"],
    // The machine stops where it would switch off or start again, so that the display can be recorded.
    ...["-no-reboot", "-no-shutdown"],
    ...firmwareArguments(machine),
    ...portArguments(machine),
    ...diskArguments(machine.files),
    ...networkArguments(),
    // Without entropy, the first boot waits for it.
    ...["-device", "virtio-rng-pci"],
    ...machine.files.smbiosStrings.flatMap(smbiosArguments),
  ];
}

/** Machine type and processor: also what acceleration is probed with. */
export function machineArguments({
  architecture,
  firmware,
  acceleration,
}: Pick<
  Machine,
  "architecture" | "firmware" | "acceleration"
>): readonly string[] {
  const { machine, processor } = machineTypes[architecture];
  // Only system management mode keeps the guest from writing Secure Boot's variables.
  const smm = firmware === "uefi-secure-boot" ? ",smm=on" : ",smm=off";
  return [
    "-machine",
    `${machine[acceleration]}${architecture === "amd64" ? smm : ""}`,
    ...["-accel", accelerators[acceleration]],
    ...["-cpu", processor[acceleration]],
  ];
}

const accelerators = {
  kvm: "kvm",
  tcg: "tcg,thread=multi",
} as const satisfies Record<Acceleration, string>;

function firmwareArguments({
  architecture,
  firmware,
  files,
}: Machine): readonly string[] {
  const { code, variables } = firmwareFilesOf(architecture, firmware) ?? {};
  if (firmware === "bios") {
    return [
      ...["-chardev", `socket,id=firmware,fd=${descriptors.firmware}`],
      "-device",
      `isa-debugcon,iobase=${seabiosDebugPort},chardev=firmware`,
    ];
  }
  if (code === undefined) return [];
  // Without variables it is no flash: a program that qemu's own first stage starts.
  if (variables === undefined) return ["-kernel", code];
  return [
    "-drive",
    `if=pflash,unit=0,format=raw,readonly=on,file=${optionValue(code)}`,
    "-drive",
    `if=pflash,unit=1,format=raw,file=${optionValue(files.variables)}`,
    ...(architecture === "amd64" && firmware === "uefi-secure-boot"
      ? ["-global", "driver=cfi.pflash01,property=secure,value=on"]
      : []),
  ];
}

function portArguments({ architecture }: Machine): readonly string[] {
  const { reportDevice } = machineTypes[architecture];
  return [
    ...["-chardev", `socket,id=console,fd=${descriptors.console}`],
    ...["-serial", "chardev:console"],
    ...["-chardev", `socket,id=report,fd=${descriptors.report}`],
    ...(reportDevice.endsWith(reportPortName)
      ? [
          ...["-device", "virtio-serial-pci"],
          ...[
            "-device",
            `virtserialport,chardev=report,name=${reportPortName}`,
          ],
        ]
      : ["-serial", "chardev:report"]),
    ...["-chardev", `socket,id=control,fd=${descriptors.control}`],
    ...["-mon", "chardev=control,mode=control"],
  ];
}

function diskArguments(files: MachineFiles): readonly string[] {
  return [
    "-drive",
    // The overlay is thrown away: no write of it needs to reach the disk.
    `if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file=${optionValue(files.overlay)}`,
    // With a boot index, UEFI tries this disk and nothing else.
    ...["-device", "virtio-blk-pci,drive=disk,bootindex=0"],
    ...readOnlyDisk("script", files.script, scriptSerial),
    ...(files.seed === undefined
      ? []
      : readOnlyDisk("seed", files.seed, "seed")),
  ];
}

function readOnlyDisk(id: string, path: string, serial: string) {
  return [
    "-drive",
    `if=none,id=${id},format=raw,readonly=on,file=${optionValue(path)}`,
    ...["-device", `virtio-blk-pci,drive=${id},serial=${serial}`],
  ];
}

/** qemu itself runs in a network namespace without any way out, see isolation in qemu.ts. */
function networkArguments(): readonly string[] {
  const { cidr, gateway, dns, lease } = guestNetwork;
  return [
    "-netdev",
    `user,id=network,net=${cidr},host=${gateway},dns=${dns},dhcpstart=${lease},ipv6=off`,
    // Without the card's boot ROM: nothing is to be booted from the network.
    ...["-device", "virtio-net-pci,netdev=network,romfile="],
  ];
}

function smbiosArguments(path: string): readonly string[] {
  return ["-smbios", `type=11,path=${optionValue(path)}`];
}

/** A value inside a comma-separated option, where commas are doubled. */
export function optionValue(value: string): string {
  return value.replaceAll(",", ",,");
}
