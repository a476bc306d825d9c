/** Whether a disk is large enough for what is to be on it. Pure. */

/** The root partition begins at 128 MiB, behind those that boot, and ends 1 MiB before the disk does. */
const besideRootMiB = 129;

/**
 * How much of a partition ext4 leaves to files: inodes take a 64th of it, the journal up to a 32nd. It keeps no more
 * back here, but a system whose disk is full to the last block does not start either.
 */
const shareForFiles = 0.95;

/**
 * @param sizeGiB of the disk
 * @param filesMiB what all files take, in whole blocks
 * @returns what is wrong and what to do, naming the field and a size that is large enough; `undefined` when all is well
 */
export function missingRoom(
  sizeGiB: number,
  filesMiB: number,
): string | undefined {
  if (filesMiB <= roomMiB(sizeGiB)) return undefined;
  const enough = Math.ceil((filesMiB / shareForFiles + besideRootMiB) / 1024);
  return (
    `take ${Math.ceil(filesMiB)} MiB, and a disk of ${sizeGiB} GiB has room for ${roomMiB(sizeGiB)} MiB: ` +
    `say disk.sizeGiB ${enough} or more in its definition, or take packages out.`
  );
}

/** What files may take on a disk. */
function roomMiB(sizeGiB: number): number {
  return Math.floor((sizeGiB * 1024 - besideRootMiB) * shareForFiles);
}
