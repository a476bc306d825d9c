/** Small disks with everything that a root file system can have, made without root's rights in a second. */

import {
  link,
  mkdir,
  mkdtemp,
  open,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { systemPath } from "../../../infra/image/build/preconditions.ts";
import type { RawImage } from "../../../infra/image/convert/rawImage.ts";
import { sha256OfFile } from "../../../infra/store/digest.ts";

const env = { PATH: systemPath };

/** Where the root file system begins on these disks, and how large they are. */
export const rootOffset = 1024 * 1024;
const diskBytes = 24 * 1024 * 1024;

/** The date of files in the trees. */
export const fileSeconds = 1_700_000_000;

/** As infra/image/build/assemble.ts has them. */
const features =
  "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg," +
  "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/** Runs `use` with a directory of its own. */
export async function withDirectory<T>(
  use: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "convert-"));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A file tree with what ordinary users can make. */
async function makeTree(tree: string): Promise<void> {
  const at = (...path: string[]) => join(tree, ...path);
  for (const name of ["bin", "etc", "many", "empty", "var/log"]) {
    await mkdir(at(name), { recursive: true });
  }
  await writeFile(at("etc/hostname"), "localhost\n");
  await link(at("etc/hostname"), at("etc/hostname.other"));
  await link(at("etc/hostname"), at("bin/third-name"));
  await writeFile(at("bin/su"), "#!/bin/sh\n", { mode: 0o755 });
  await symlink("../etc/hostname", at("bin/short"));
  await symlink("x".repeat(300), at("bin/long"));
  await writeFile(at("etc", "  spaces -> and more "), "");
  await writeFile(at("etc", "new\nline \\ é\t\x7f"), "");
  await mkdir(at("d".repeat(90), "e".repeat(90)), { recursive: true });
  await writeFile(at("d".repeat(90), "e".repeat(90), "f"), "deep\n");
  // Several directory blocks, and so a search tree.
  for (let index = 0; index < 300; index++) {
    await writeFile(at("many", `${"long-name-".repeat(4)}${index}`), "");
  }
  await writeFragments(at("var/log/fragments"));
  await writeFile(at("var/log/noise"), noise(1_500_000));
}

/** Bytes that cannot be compressed, the same each time. */
export function noise(bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = 1;
  for (let index = 0; index < bytes; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    buffer[index] = state >>> 16;
  }
  return buffer;
}

/** More pieces than an inode has room for: a tree of extents. The end is a hole. */
async function writeFragments(path: string): Promise<void> {
  await using file = await open(path, "w");
  for (let index = 0; index < 40; index++) {
    await file.write(`piece ${index}\n`, index * 64 * 1024);
  }
  await file.truncate(41 * 64 * 1024 + 5);
}

/** What debugfs does to the file system of {@link makeTree}, that only root could do to the tree. */
export const marks = [
  "sif /bin/su mode 0104755",
  "sif /bin/su uid 1000",
  "sif /bin/su gid 42",
  "sif /bin/short uid 7",
  "sif /bin/short gid 8",
  "sif /etc/hostname uid 100000",
  "sif /etc/hostname gid 70000",
  "sif /var/log mode 0042775",
  "sif /empty mode 0041777",
  "ea_set /etc/hostname user.origin here",
  "ea_set -f capability /bin/su security.capability",
  "ea_set -f large /var/log/noise user.large",
  "ea_set -f acl /var/log system.posix_acl_default",
] as const;

/** cap_net_raw, effective: version 2 (linux/capability.h). */
export const capability = Buffer.from(
  "0100000200200000000000000000000000000000",
  "hex",
);
/** Too large for an inode. */
export const largeAttribute = noise(700);
/** `u::rwx,u:1000:r-x,g::r-x,m::r-x,o::---` as programs are given it (linux/posix_acl_xattr.h). */
export const accessList = Buffer.from(
  [
    "02000000",
    ...["01000700ffffffff", "02000500e8030000", "04000500ffffffff"],
    ...["10000500ffffffff", "20000000ffffffff"],
  ].join(""),
  "hex",
);

/**
 * A disk with GPT and that tree, and what debugfs does to it.
 *
 * @param directory gets `disk.raw`
 */
export async function makeDisk(
  directory: string,
  commands: readonly string[] = marks,
): Promise<RawImage> {
  const tree = join(directory, "tree");
  await makeTree(tree);
  await datedAlike(tree);
  const path = join(directory, "disk.raw");
  await makeEmptyDisk(path);
  await makeFileSystem(path, tree);
  await rm(tree, { recursive: true });
  await changeFileSystem(directory, path, commands);
  return rawImage(path);
}

/** The image that a disk is. */
export async function rawImage(path: string): Promise<RawImage> {
  const { sha256 } = await sha256OfFile(path);
  return { path, sha256, architecture: "amd64", epochSeconds: 1_795_230_000 };
}

async function makeEmptyDisk(path: string): Promise<void> {
  await writeFile(path, "");
  await truncate(path, diskBytes);
  await execa("sfdisk", ["--quiet", path], {
    env,
    input:
      "label: gpt\nlabel-id: 5B1E9D1C-0000-4000-8000-000000000001\n1 : start=2048, size=45056, uuid=5B1E9D1C-0000-4000-8000-000000000002\n",
  });
}

async function makeFileSystem(path: string, tree: string): Promise<void> {
  await execa("mke2fs", [...mke2fsArguments(tree), path, "5632"], {
    env: mke2fsEnvironment,
  });
}

export const mke2fsEnvironment = {
  ...env,
  MKE2FS_CONFIG: "/dev/null",
  E2FSPROGS_FAKE_TIME: String(fileSeconds),
};

/** @param tree what the file system gets */
export function mke2fsArguments(tree: string): readonly string[] {
  return [
    ...["-q", "-F", "-t", "ext4", "-O", features],
    ...["-b", "4096", "-I", "256", "-d", tree],
    ...["-U", "5b1e9d1c-0000-4000-8000-000000000003"],
    ...[
      "-E",
      `offset=${rootOffset},hash_seed=5b1e9d1c-0000-4000-8000-000000000003,root_owner=0:0,lazy_itable_init=0`,
    ],
  ];
}

/** Lets debugfs change the file system of a disk. */
export async function changeFileSystem(
  directory: string,
  path: string,
  commands: readonly string[],
): Promise<void> {
  await writeFile(join(directory, "capability"), capability);
  await writeFile(join(directory, "large"), largeAttribute);
  await writeFile(join(directory, "acl"), accessList);
  const { stderr } = await execa(
    "debugfs",
    ["-w", "-f", "-", `${path}?offset=${rootOffset}`],
    { env, cwd: directory, input: `${commands.join("\n")}\n` },
  );
  // debugfs ends well whatever happened; its first line is its version.
  const complaints = stderr.split("\n").slice(1).join("\n").trim();
  if (complaints !== "") throw new Error(complaints);
}

/** Directories after what is in them, which changes their dates. */
async function datedAlike(tree: string): Promise<void> {
  const touch = ["touch", "--no-dereference", `--date=@${fileSeconds}`];
  await execa("find", [tree, "-depth", "-exec", ...touch, "{}", "+"]);
}
