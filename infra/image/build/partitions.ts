/**
 * Where everything lies on an image's disk. The layout is the one of Debian's own cloud images, so that
 * tools which know those find root, EFI and BIOS boot under the same partition numbers.
 */

import { createHash } from "node:crypto";
import type { Architecture } from "../../definitions/definition.ts";

export const sectorBytes = 512;

/** A disk's partitions; a boot loader has one, two or three places, depending on the firmware. */
export interface Partitions {
  /** For GRUB's core.img, started by BIOS. */
  readonly bios?: Partition;
  /** For GRUB's core image, started by Open Firmware. */
  readonly prep?: Partition;
  /** FAT with what UEFI starts. */
  readonly esp?: Partition;
  readonly root: Partition;
}

/** One partition; positions and sizes are in sectors of 512 bytes. */
export interface Partition {
  readonly number: number;
  readonly name: string;
  readonly typeUuid: string;
  readonly uuid: string;
  readonly startSector: number;
  readonly sectors: number;
}

/** Every identifier on the disk. Made from the image key: equal keys give equal disks. */
export interface DiskIdentity {
  readonly diskUuid: string;
  readonly biosPartUuid: string;
  readonly prepPartUuid: string;
  readonly espPartUuid: string;
  readonly rootPartUuid: string;
  readonly rootFsUuid: string;
  /** The FAT's volume number: 8 hex digits. */
  readonly espVolumeId: string;
}

/** UEFI specification 2.10, 5.3.3 (EFI system); GRUB manual, "BIOS installation"; Power (PReP): sfdisk --list-types. */
const typeUuids = {
  bios: "21686148-6449-6E6F-744E-656564454649",
  prep: "9E1A2D38-C612-4316-AA26-8B49521E5A8B",
  esp: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
} as const;

/** What systemd knows a root file system by: Discoverable Partitions Specification. */
const rootTypeUuids = {
  amd64: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
  arm64: "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
  ppc64el: "C31C45E6-3F39-412E-80FB-4809C4980599",
  riscv64: "72EC70A6-CF74-40E6-BD49-4BDA08E8F224",
} as const satisfies Record<Architecture, string>;

/** A place on the disk, in sectors of 512 bytes. */
interface Place {
  readonly startSector: number;
  readonly sectors: number;
}

/** Where the boot loader's partitions lie, and where root begins. */
interface BootLayout {
  readonly bios?: Place;
  readonly prep?: Place;
  readonly esp?: Place;
  readonly rootStart: number;
}

/** From the first mebibyte on, without a gap. */
const uefiLayout: BootLayout = {
  esp: { startSector: 2048, sectors: 260_096 },
  rootStart: 262_144,
};

const bootLayouts: Readonly<Record<Architecture, BootLayout>> = {
  amd64: {
    bios: { startSector: 2048, sectors: 6144 },
    esp: { startSector: 8192, sectors: 253_952 },
    rootStart: 262_144,
  },
  arm64: uefiLayout,
  ppc64el: {
    prep: { startSector: 2048, sectors: 6144 },
    rootStart: 8192,
  },
  riscv64: uefiLayout,
};

/** The GPT keeps its second copy in the last 33 sectors (UEFI specification 2.10, 5.3.1). */
const backupTableSectors = 33;
/** Partitions end on a mebibyte, as they start on one. */
const alignmentSectors = 2048;

/**
 * The identifiers of the disk of one image.
 *
 * @param seed the image key
 */
export function diskIdentity(seed: string): DiskIdentity {
  const digest = (label: string) =>
    createHash("sha256").update(`${seed} ${label}`).digest("hex");
  return {
    diskUuid: uuidFrom(digest("disk")),
    biosPartUuid: uuidFrom(digest("bios partition")),
    prepPartUuid: uuidFrom(digest("prep partition")),
    espPartUuid: uuidFrom(digest("esp partition")),
    rootPartUuid: uuidFrom(digest("root partition")),
    rootFsUuid: uuidFrom(digest("root file system")),
    espVolumeId: digest("esp file system").slice(0, 8),
  };
}

/** Shapes 32 hex digits as a UUID of version 8, the one left to applications (RFC 9562, 5.8). */
function uuidFrom(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(
    16,
  );
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

/**
 * The partitions of a disk.
 *
 * @param sizeGiB size of the whole disk
 */
export function partitionsOf(
  architecture: Architecture,
  sizeGiB: number,
  identity: DiskIdentity,
): Partitions {
  const { bios, prep, esp, rootStart } = bootLayouts[architecture];
  const diskSectors = (sizeGiB * 1024 ** 3) / sectorBytes;
  const rootEnd =
    Math.floor((diskSectors - backupTableSectors) / alignmentSectors) *
    alignmentSectors;
  return {
    ...(bios && {
      bios: {
        number: 14,
        name: "bios",
        typeUuid: typeUuids.bios,
        uuid: identity.biosPartUuid,
        ...bios,
      },
    }),
    ...(prep && {
      prep: {
        number: 15,
        name: "prep",
        typeUuid: typeUuids.prep,
        uuid: identity.prepPartUuid,
        ...prep,
      },
    }),
    ...(esp && {
      esp: {
        number: 15,
        name: "esp",
        typeUuid: typeUuids.esp,
        uuid: identity.espPartUuid,
        ...esp,
      },
    }),
    root: {
      number: 1,
      name: "root",
      typeUuid: rootTypeUuids[architecture],
      uuid: identity.rootPartUuid,
      startSector: rootStart,
      sectors: rootEnd - rootStart,
    },
  };
}

/** The script for sfdisk(8) that writes the partition table, in the order of the sectors. */
export function sfdiskScript(
  identity: DiskIdentity,
  { bios, prep, esp, root }: Partitions,
): string {
  const head = [
    "label: gpt",
    `label-id: ${identity.diskUuid}`,
    "unit: sectors",
  ];
  const partitions = [bios, prep, esp, root].filter(
    (each) => each !== undefined,
  );
  const lines = partitions.map(
    ({ number, name, typeUuid, uuid, startSector, sectors }) =>
      `${number} : start=${startSector}, size=${sectors}, type=${typeUuid}, uuid=${uuid}, name=${name}`,
  );
  return `${[...head, ...lines].join("\n")}\n`;
}
