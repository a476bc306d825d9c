/**
 * The classic way to a disk image: fai-diskimage, as root, on a loop device, with debootstrap. It gets the
 * project's own config space, changed only where the two ways differ (faiDiskimage/configSpace, and what
 * {@link classicConfigSpace} leaves out), so that the same packages and files go into the image.
 */

import {
  cp,
  mkdir,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { arch } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Definition } from "../infra/definitions/definition.ts";
import type { ArchiveState } from "../infra/image/archive.ts";
import { sourcesText } from "../infra/image/build/aptSources.ts";
import { failuresIn, readFaiLogs } from "../infra/image/build/faiLogs.ts";
import { type Context, measureCommand } from "./benchmark.ts";
import type { Side } from "./results.ts";

const own = (name: string) =>
  fileURLToPath(new URL(`faiDiskimage/${name}`, import.meta.url));

/** A mount and a process namespace; everything else stays the host's. */
const namespace = [
  "unshare",
  ...["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
];

/** Programs, and the Debian packages they come from. */
const programs = {
  "fai-diskimage": "fai-server",
  "setup-storage": "fai-setup-storage",
  debootstrap: "debootstrap",
  parted: "parted",
  losetup: "mount",
} as const;

/** What our builds do in another way than fai-diskimage. */
const notClassic = [
  // fai-diskimage partitions a loop device, mounts it, and has debootstrap make the nodes in /dev.
  "hooks/partition.DEBIAN.sh",
  "hooks/debconf.DEBIAN",
  // setup-storage writes the fstab, and the kernel's own hook makes the initramfs.
  "scripts/DEBIAN/20-fstab",
  "scripts/DEBIAN/60-initramfs",
  // Its script for AMD64 runs grub-install and update-grub; there is no EFI system partition.
  "scripts/SIGNED_EFI/10-shim",
  "scripts/LAST/05-grub-config",
];

/**
 * The config space of the classic way.
 *
 * @param source the project's
 * @param directory gets it
 */
export async function classicConfigSpace(
  source: string,
  directory: string,
  { release }: Definition,
  { mirror }: ArchiveState,
): Promise<void> {
  await cp(source, directory, { recursive: true });
  // Without `force`: should the project's config space change, this is to be looked at again.
  for (const path of notClassic) await rm(join(directory, path));
  await cp(own("configSpace"), directory, { recursive: true });
  const sources = join(
    directory,
    "files/etc/apt/sources.list.d/debian.sources",
  );
  await mkdir(sources, { recursive: true });
  await writeFile(join(sources, "DEBIAN"), sourcesText(release.suites, mirror));
}

/**
 * Why fai-diskimage cannot run here, as a sentence; `undefined` where it can.
 *
 * @param directory for a file that a loop device is tried with
 */
export async function whyNotHere(
  directory: string,
): Promise<string | undefined> {
  if (process.getuid?.() !== 0) {
    return "fai-diskimage needs root's rights, and this user is not root.";
  }
  if (arch() !== "x64") {
    return `The images compared are for amd64, and this machine is ${arch()}.`;
  }
  for (const [program, debianPackage] of Object.entries(programs)) {
    const { exitCode } = await execa("which", [program], { reject: false });
    if (exitCode !== 0) {
      return `${program} is missing: apt-get install ${debianPackage}`;
    }
  }
  const inNamespace = await execa("unshare", ["--mount", "true"], {
    reject: false,
  });
  if (inNamespace.exitCode !== 0) {
    return `Nothing can be mounted here: ${inNamespace.stderr}`;
  }
  return await whyNoLoopPartitions(join(directory, "loop-probe.raw"));
}

/** Tries whether a loop device can be had, and whether its partitions show up. */
async function whyNoLoopPartitions(file: string): Promise<string | undefined> {
  await writeFile(file, "");
  await truncate(file, 16 * 1024 ** 2);
  try {
    const loop = await execa("losetup", ["-P", "-f", "--show", file], {
      reject: false,
    });
    if (loop.exitCode !== 0) {
      return `No loop device can be had: ${loop.stderr}`;
    }
    const table = ["mklabel", "gpt", "mkpart", "root", "1MiB", "100%"];
    await execa("parted", ["--script", loop.stdout, ...table], {
      reject: false,
    });
    const partition = `${loop.stdout}p1`;
    const appeared = await stat(partition).then(
      (status) => status.isBlockDevice(),
      () => false,
    );
    return appeared
      ? undefined
      : `Partitions of loop devices do not show up here (${partition}).`;
  } finally {
    await detachLoopDevices(file);
    await rm(file);
  }
}

/** Detaches every loop device that a file is attached to; fai-diskimage does it only when it comes to its end. */
async function detachLoopDevices(file: string): Promise<void> {
  const { stdout } = await execa("losetup", ["--associated", file]);
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    await execa("losetup", ["--detach", line.split(":")[0] ?? ""]);
  }
}

/**
 * Makes the file that FAI unpacks instead of calling debootstrap, and puts it into the config space. Not measured,
 * as the cold run has measured the same.
 */
export async function addBaseFile(
  { directory, say, signal }: Context,
  configSpace: string,
  { release }: Definition,
  { mirror }: ArchiveState,
): Promise<void> {
  say("fai-diskimage: making its base file …");
  const base = join(directory, "base.tar");
  const [program = "", ...programArguments] = [
    ...namespace,
    own("make-base"),
    ...[release.codename, mirror.debian, join(directory, "base"), base],
  ];
  await execa(program, programArguments, {
    cancelSignal: signal,
    killSignal: "SIGKILL",
    all: true,
  });
  await mkdir(join(configSpace, "basefiles"));
  await rename(base, join(configSpace, "basefiles/DEBIAN.tar"));
}

/**
 * Measures one run of fai-diskimage.
 *
 * @param image gets the raw image
 */
export async function measureFaiDiskimage(
  context: Context,
  label: string,
  configSpace: string,
  definition: Definition,
  { epochSeconds, mirror }: ArchiveState,
  image: string,
): Promise<Side> {
  const logs = `${image}.logs`;
  await mkdir(logs);
  const environment = [
    `FAI_DEBOOTSTRAP=${definition.release.codename} ${mirror.debian}`,
    "FAI_DEBOOTSTRAP_OPTS=--variant=minbase",
    `IMAGE_EPOCH=${epochSeconds}`,
    // Where it mounts the image.
    `TMPDIR=${context.directory}`,
  ];
  try {
    const measured = await measureCommand(context, label, [
      ...["env", ...environment, ...namespace],
      ...[own("run"), configSpace, definition.classes.join(",")],
      ...[`${definition.disk.sizeGiB}G`, image, logs],
    ]);
    const failures = await failuresIn(await readFaiLogs(logs), configSpace);
    if (failures.length > 0) return { failed: failures.join("; ") };
    return "usage" in measured ? measured.usage : measured;
  } finally {
    await detachLoopDevices(image);
  }
}
