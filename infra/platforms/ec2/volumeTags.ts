/** Tags of what is made on the way between disks and snapshots, besides those of the image. */

export const volumeTagNames = {
  /** What a volume is there for: `image` to be written to, `read-back` to be read. */
  purpose: "cloud-images:volume",
  /** Of a volume made to read a snapshot back: the snapshot. */
  snapshot: "cloud-images:snapshot",
  /** Digest of all that decides what a volume, and a snapshot made of it, hold and how. */
  content: "cloud-images:content",
  /** That a volume has all of it: the same digest. */
  written: "cloud-images:written",
} as const;
