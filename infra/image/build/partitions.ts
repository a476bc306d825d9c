/**
 * Where everything lies on an image's disk. The layout is the one of Debian's own cloud images, so that
 * tools which know those find root, EFI and BIOS boot under the same partition numbers.
 */

import { createHash } from "node:crypto";

export const sectorBytes = 512;

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
  readonly espPartUuid: string;
  readonly rootPartUuid: string;
  readonly rootFsUuid: string;
  /** The FAT's volume number: 8 hex digits. */
  readonly espVolumeId: string;
}

/** UEFI specification 2.10, 5.3.3 (EFI system), GRUB manual (BIOS boot), Discoverable Partitions (root). */
const typeUuids = {
  bios: "21686148-6449-6E6F-744E-656564454649",
  esp: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
  rootAmd64: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
} as const;

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
 * The partitions of a disk for amd64, in the order of their sectors.
 *
 * @param sizeGiB size of the whole disk
 */
export function partitionsOf(
  sizeGiB: number,
  identity: DiskIdentity,
): {
  bios: Partition;
  esp: Partition;
  root: Partition;
} {
  const diskSectors = (sizeGiB * 1024 ** 3) / sectorBytes;
  const rootStart = 262_144;
  const rootEnd =
    Math.floor((diskSectors - backupTableSectors) / alignmentSectors) *
    alignmentSectors;
  return {
    bios: {
      number: 14,
      name: "bios",
      typeUuid: typeUuids.bios,
      uuid: identity.biosPartUuid,
      startSector: 2048,
      sectors: 6144,
    },
    esp: {
      number: 15,
      name: "esp",
      typeUuid: typeUuids.esp,
      uuid: identity.espPartUuid,
      startSector: 8192,
      sectors: 253_952,
    },
    root: {
      number: 1,
      name: "root",
      typeUuid: typeUuids.rootAmd64,
      uuid: identity.rootPartUuid,
      startSector: rootStart,
      sectors: rootEnd - rootStart,
    },
  };
}

/** The script for sfdisk(8) that writes the partition table. */
export function sfdiskScript(
  identity: DiskIdentity,
  partitions: readonly Partition[],
): string {
  const head = [
    "label: gpt",
    `label-id: ${identity.diskUuid}`,
    "unit: sectors",
  ];
  const lines = partitions.map(
    ({ number, name, typeUuid, uuid, startSector, sectors }) =>
      `${number} : start=${startSector}, size=${sectors}, type=${typeUuid}, uuid=${uuid}, name=${name}`,
  );
  return `${[...head, ...lines].join("\n")}\n`;
}
