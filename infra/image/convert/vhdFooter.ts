/** The footer of a VHD (Virtual Hard Disk Image Format Specification, 1.0, Hard Disk Footer Format). Pure. */

import { createHash } from "node:crypto";

/** All of it, reserved bytes included. */
export const footerBytes = 512;

/** VHD counts seconds from 2000-01-01T00:00:00Z. */
const vhdEpochSeconds = 946_684_800;

/**
 * The footer of a disk of fixed size: the same for the same disk.
 *
 * @param sizeBytes of the disk
 */
export function vhdFooter(
  image: { readonly sha256: string; readonly epochSeconds: number },
  sizeBytes: number,
): Buffer {
  const footer = Buffer.alloc(footerBytes);
  footer.write("conectix", 0, "latin1");
  footer.writeUInt32BE(2, 8); // features: a bit that is always set
  footer.writeUInt32BE(0x0001_0000, 12); // version of the format
  footer.fill(0xff, 16, 24); // no other header: fixed size
  footer.writeUInt32BE(image.epochSeconds - vhdEpochSeconds, 24);
  // What qemu-img writes in files for Azure: the disk has the size below, and not that of the geometry.
  footer.write("qem2", 28, "latin1");
  footer.writeUInt32BE(0x0005_0003, 32);
  footer.write("Wi2k", 36, "latin1");
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  const { cylinders, heads, sectorsPerTrack } = geometryOf(sizeBytes / 512);
  footer.writeUInt16BE(cylinders, 56);
  footer.writeUInt8(heads, 58);
  footer.writeUInt8(sectorsPerTrack, 59);
  footer.writeUInt32BE(2, 60); // fixed size
  createHash("sha256")
    .update(`${image.sha256} VHD`)
    .digest()
    .copy(footer, 68, 0, 16);
  const sum = footer.reduce((total, byte) => total + byte, 0);
  footer.writeUInt32BE(~sum >>> 0, 64);
  return footer;
}

/** Cylinders, heads and sectors as the specification's appendix counts them. */
export function geometryOf(sectors: number): {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
} {
  const total = Math.min(sectors, 65_535 * 16 * 255);
  if (total >= 65_535 * 16 * 63) return geometry(total, 255, 16);
  const tracks = Math.floor(total / 17);
  const heads = Math.max(4, Math.floor((tracks + 1023) / 1024));
  if (heads <= 16 && tracks < heads * 1024) return geometry(total, 17, heads);
  if (Math.floor(total / 31) < 16 * 1024) return geometry(total, 31, 16);
  return geometry(total, 63, 16);
}

function geometry(sectors: number, sectorsPerTrack: number, heads: number) {
  const tracks = Math.floor(sectors / sectorsPerTrack);
  return { cylinders: Math.floor(tracks / heads), heads, sectorsPerTrack };
}
