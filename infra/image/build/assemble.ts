/**
 * Puts a disk together from a directory: GPT, FAT with the EFI boot loaders, ext4 with the root file system,
 * GRUB's stages for BIOS or Open Firmware. No loop device, no mount, no root of the host.
 *
 * Everything that could differ between two equal builds is fixed: identifiers, dates, the order of files.
 */

import {
  mkdir,
  open,
  readFile,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Architecture } from "../../definitions/definition.ts";
import { bootSector, coreImageAt } from "./biosBoot.ts";
import { orderFiles } from "./fileOrder.ts";
import {
  type DiskIdentity,
  type Partition,
  partitionsOf,
  sectorBytes,
  sfdiskScript,
} from "./partitions.ts";

/** What a disk is made of. */
export interface DiskContents {
  readonly architecture: Architecture;
  /** The finished root file system, with `/boot/efi` and GRUB's images in `/boot/grub` for what the disk has of those. */
  readonly target: string;
  /** A directory of the target's file system, for small files. */
  readonly scratch: string;
  readonly identity: DiskIdentity;
  readonly sizeGiB: number;
  /** No file is younger, and all that the assembly makes has this date. Seconds since 1970. */
  readonly epochSeconds: number;
}

/**
 * ext4 features, named one by one so that the build machine's mke2fs.conf does not decide: all of Debian 12's
 * defaults, and none that Debian 12's GRUB cannot read (metadata_csum_seed, orphan_file).
 */
const ext4Features =
  "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg," +
  "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
const blockBytes = 4096;

/**
 * Makes the disk.
 *
 * @param disk path of the raw image, which must not exist yet
 */
export async function assembleDisk(
  disk: string,
  contents: DiskContents,
): Promise<void> {
  const { architecture, identity, sizeGiB, target } = contents;
  const partitions = partitionsOf(architecture, sizeGiB, identity);
  const { bios, prep, esp, root } = partitions;
  const efi = join(contents.scratch, "efi");
  if (esp !== undefined) {
    await execa("mv", [join(target, "boot/efi"), efi]);
    await mkdir(join(target, "boot/efi"), { mode: 0o700 });
  }
  orderFiles(target, join(contents.scratch, "aside"), contents.epochSeconds);

  await writeFile(disk, "", { flag: "wx" });
  await truncate(disk, sizeGiB * 1024 ** 3);
  await execa("sfdisk", ["--quiet", disk], {
    input: sfdiskScript(identity, partitions),
  });
  await makeRootFileSystem(disk, target, root, contents);
  if (esp !== undefined) await makeEfiFileSystem(disk, efi, esp, contents);
  if (bios !== undefined) await writeBiosBoot(disk, target, bios.startSector);
  if (prep !== undefined) await writePrep(disk, target, prep);
}

async function makeRootFileSystem(
  disk: string,
  tree: string,
  { startSector, sectors }: { startSector: number; sectors: number },
  { identity, epochSeconds }: DiskContents,
): Promise<void> {
  const offset = startSector * sectorBytes;
  const env = {
    MKE2FS_CONFIG: "/dev/null",
    E2FSPROGS_FAKE_TIME: String(epochSeconds),
    SOURCE_DATE_EPOCH: String(epochSeconds),
  };
  await execa(
    "mke2fs",
    [
      "-q",
      "-F",
      ...["-t", "ext4"],
      ...["-O", ext4Features],
      ...["-b", String(blockBytes)],
      ...["-I", "256"],
      ...["-U", identity.rootFsUuid],
      ...[
        "-E",
        `offset=${offset},hash_seed=${identity.rootFsUuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard`,
      ],
      ...["-d", tree],
      disk,
      String((sectors * sectorBytes) / blockBytes),
    ],
    { env },
  );
  await fixInodeDates(disk, offset, epochSeconds, env);
}

/**
 * mke2fs takes change and access dates from the tree, where they are the build's own: set them to the epoch.
 */
async function fixInodeDates(
  disk: string,
  offset: number,
  epochSeconds: number,
  env: Record<string, string>,
): Promise<void> {
  const device = `${disk}?offset=${offset}`;
  // Not dumpe2fs: from e2fsprogs 1.47.1 on it takes a name with a `=` for a tag, and finds no such device.
  const { stdout } = await execa(
    "debugfs",
    ["-R", "show_super_stats -h", device],
    { env },
  );
  const count = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(stdout)?.[1]);
  // mke2fs hands out inodes in order, so those in use are the first ones.
  const used = count("Inode count") - count("Free inodes");
  // debugfs ends well whatever happened.
  if (Number.isNaN(used)) {
    throw new Error(`debugfs does not say how many inodes ${device} has.`);
  }
  const commands = Array.from({ length: used }, (_, index) =>
    ["ctime", "atime", "crtime"]
      .flatMap((field) => [
        `sif <${index + 1}> ${field} @${epochSeconds}`,
        `sif <${index + 1}> ${field}_extra 0`,
      ])
      .join("\n"),
  );
  await execa("debugfs", ["-w", "-f", "-", device], {
    env,
    input: `${commands.join("\n")}\n`,
    stdout: "ignore",
  });
}

async function makeEfiFileSystem(
  disk: string,
  efi: string,
  { startSector, sectors }: { startSector: number; sectors: number },
  { identity, epochSeconds, scratch }: DiskContents,
): Promise<void> {
  const image = join(scratch, "efi.img");
  const env = { SOURCE_DATE_EPOCH: String(epochSeconds) };
  await writeFile(image, "");
  await truncate(image, sectors * sectorBytes);
  await execa(
    "mkfs.vfat",
    ["--invariant", "-F", "32", "-i", identity.espVolumeId, "-n", "ESP", image],
    { env },
  );
  const { stdout } = await execa("find", [
    efi,
    "-mindepth",
    "1",
    "-printf",
    "%P\n",
  ]);
  for (const path of stdout.split("\n").sort()) {
    const isDirectory = (await stat(join(efi, path))).isDirectory();
    await execa("touch", [`--date=@${epochSeconds}`, join(efi, path)]);
    await execa(
      isDirectory ? "mmd" : "mcopy",
      isDirectory
        ? ["-i", image, `::${path}`]
        : ["-i", image, "-m", join(efi, path), `::${path}`],
      { env },
    );
  }
  await execa("dd", [
    `if=${image}`,
    `of=${disk}`,
    "bs=1M",
    `seek=${startSector * sectorBytes}`,
    "oflag=seek_bytes",
    "conv=notrunc,sparse",
    "status=none",
  ]);
}

async function writeBiosBoot(
  disk: string,
  tree: string,
  coreSector: number,
): Promise<void> {
  const directory = join(tree, "boot/grub/i386-pc");
  const first = bootSector(
    await readFile(join(directory, "boot.img")),
    coreSector,
  );
  const core = coreImageAt(
    await readFile(join(directory, "core.img")),
    coreSector,
  );
  await writeAt(disk, [
    [0, first],
    [coreSector, core],
  ]);
}

/** Open Firmware loads the program that fills the PReP partition from its first sector on. */
async function writePrep(
  disk: string,
  tree: string,
  { startSector, sectors }: Partition,
): Promise<void> {
  const core = await readFile(
    join(tree, "boot/grub/powerpc-ieee1275/core.elf"),
  );
  if (core.length > sectors * sectorBytes) {
    throw new Error(
      `GRUB's core.elf has ${core.length} bytes, more than its partition.`,
    );
  }
  await writeAt(disk, [[startSector, core]]);
}

/** Writes bytes to the sectors of a disk. */
async function writeAt(
  disk: string,
  parts: readonly (readonly [sector: number, bytes: Uint8Array])[],
): Promise<void> {
  const file = await open(disk, "r+");
  try {
    for (const [sector, bytes] of parts) {
      await file.write(bytes, 0, bytes.length, sector * sectorBytes);
    }
    // The store forces the whole disk out when it takes it in.
  } finally {
    await file.close();
  }
}
