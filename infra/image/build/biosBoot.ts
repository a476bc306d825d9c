/**
 * What `grub-install` does for BIOS, on a disk image that is no block device: GRUB's first two stages are
 * told where on the disk the next one lies.
 *
 * Offsets: GRUB 2, grub-core/boot/i386/pc/{boot,diskboot}.S and include/grub/i386/pc/boot.h.
 */

import { sectorBytes } from "./partitions.ts";

/** Sector number of core.img, 64 bits, in boot.img (GRUB_BOOT_MACHINE_KERNEL_SECTOR). */
const kernelSectorOffset = 0x5c;
/** Drive to boot from in boot.img; 0xff is the one BIOS started (GRUB_BOOT_MACHINE_BOOT_DRIVE). */
const bootDriveOffset = 0x64;
/** A jump over a workaround for BIOSes that pass a floppy's number (GRUB_BOOT_MACHINE_DRIVE_CHECK). */
const driveCheckOffset = 0x66;
/** First sector of core.img's only block list entry, in its first sector. */
const blockListOffset = 0x1f4;
/** Code may fill the first sector up to the disk signature; the partition table follows it. */
const codeBytes = 0x1b8;

/**
 * The first 440 bytes of the disk: boot.img, made to load core.img from a sector.
 *
 * @param bootImage GRUB's boot.img, 512 bytes
 * @param coreSector where core.img will lie, in sectors of 512 bytes
 */
export function bootSector(
  bootImage: Uint8Array,
  coreSector: number,
): Uint8Array {
  if (bootImage.length !== sectorBytes) {
    throw new RangeError(
      `boot.img has ${bootImage.length} bytes, not ${sectorBytes}.`,
    );
  }
  const sector = Buffer.from(bootImage);
  sector.writeBigUInt64LE(BigInt(coreSector), kernelSectorOffset);
  sector.writeUInt8(0xff, bootDriveOffset);
  // Two NOPs, as grub-install writes them for hard disks.
  sector.writeUInt16LE(0x9090, driveCheckOffset);
  return sector.subarray(0, codeBytes);
}

/**
 * core.img, made to load its second and later sectors from the disk.
 *
 * @param coreImage as grub-mkimage made it
 * @param coreSector where it will lie, in sectors of 512 bytes
 */
export function coreImageAt(
  coreImage: Uint8Array,
  coreSector: number,
): Uint8Array {
  const image = Buffer.from(coreImage);
  image.writeBigUInt64LE(BigInt(coreSector + 1), blockListOffset);
  return image;
}
