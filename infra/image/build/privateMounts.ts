/**
 * The build's own view of the machine: mounts that exist in its mount namespace alone, and go with it.
 * Nothing here can be seen, or needs to be cleaned up, outside.
 */

import {
  copyFile,
  lstat,
  mkdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";

/** Device nodes that package scripts use. They are the host's: root of a user namespace can make none. */
const deviceNodes = [
  "null",
  "zero",
  "full",
  "random",
  "urandom",
  "tty",
] as const;

/** Mounts a new tmpfs. Mode 755: in a sticky, world-writable one, opening a device node gives EACCES. */
export async function mountTmpfs(
  path: string,
  sizeMiB?: number,
): Promise<void> {
  const size = sizeMiB === undefined ? "" : `,size=${sizeMiB}M`;
  await execa("mount", ["-t", "tmpfs", "-o", `mode=755${size}`, "tmpfs", path]);
}

/**
 * Mounts memory at a place that every Debian has and that hides none of the paths which the build still needs.
 *
 * @param needed absolute paths
 * @returns the mount point
 */
export async function mountWorkspace(
  sizeMiB: number,
  needed: readonly string[],
): Promise<string> {
  const place = ["/mnt", "/media", "/srv"].find(
    (candidate) => !needed.some((path) => path.startsWith(`${candidate}/`)),
  );
  if (place === undefined) {
    throw new Error(
      "The project, its cache and its store lie below /mnt, /media and /srv: leave one of them free.",
    );
  }
  await mountTmpfs(place, sizeMiB);
  return place;
}

/**
 * Gives the build its own /dev, /sys, /run, /tmp, /var/log and /var/lib/fai, and the name servers of the host.
 *
 * @param devices an empty directory inside the build's own memory
 */
export async function mountPrivateSystem(devices: string): Promise<void> {
  await mountDevices(devices);
  // An empty one: hooks that bind /sys work, and nothing of the host shows.
  await mountTmpfs("/sys");
  const resolver = await hostResolver();
  const resolverPath = await realpath("/etc/resolv.conf").catch(
    () => undefined,
  );
  for (const path of ["/run", "/tmp", "/var/tmp", "/var/log"]) {
    await mountTmpfs(path);
  }
  await mkdir("/run/lock");
  // FAI keeps what it knows of the host here; a client that never ran has no such directory.
  await mountTmpfs("/var/lib/fai").catch(() => undefined);
  if (resolverPath?.startsWith("/run/")) {
    await mkdir(dirname(resolverPath), { recursive: true });
    await writeFile(resolverPath, resolver);
  }
}

/** Name servers of the host, in the form of resolv.conf(5). */
function hostResolver(): Promise<string> {
  return readFile("/etc/resolv.conf", "utf8").catch(() => "");
}

/**
 * Runs `use` while a root file system has what programs in it need: /dev, /proc, /run, name servers, apt's archive
 * directory, and a policy that no service is started. Afterwards none of it is left in there.
 *
 * @param archives becomes apt's archive directory
 */
export async function withMountsIn(
  target: string,
  archives: string,
  use: () => Promise<void>,
): Promise<void> {
  const inTarget = (path: string) => join(target, path);
  const places = ["dev", "proc", "run", "var/cache/apt/archives"].map(inTarget);
  const [dev = "", proc = "", , packages = ""] = places;
  for (const place of places) await mkdir(place, { recursive: true });
  await execa("mount", ["--rbind", "/dev", dev]);
  await mountProc(proc);
  const stub = await mountRunIn(target);
  await execa("mount", ["--bind", archives, packages]);
  const resolver = inTarget("etc/resolv.conf");
  const isOurs = !(await exists(resolver));
  if (isOurs) await copyFile(stub, resolver);
  const policy = inTarget("usr/sbin/policy-rc.d");
  await writeFile(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    await use();
  } finally {
    await rm(policy);
    const isLink = (await lstat(resolver)).isSymbolicLink();
    if (isOurs && !isLink) await rm(resolver);
    await unmountProc(proc);
    for (const place of places.filter((each) => each !== proc).reverse()) {
      await execa("umount", ["--recursive", place]);
    }
  }
}

/** Mounts /proc, or binds the one that there is where a container hides parts of it. */
async function mountProc(place: string): Promise<void> {
  const own = await execa("mount", ["-t", "proc", "proc", place], {
    reject: false,
  });
  if (own.exitCode !== 0) await execa("mount", ["--rbind", "/proc", place]);
}

/** Unmounts a /proc, if one is there: what hides parts of a container's goes with the whole alone. */
export async function unmountProc(place: string): Promise<void> {
  const { exitCode } = await execa("mountpoint", ["--quiet", place], {
    reject: false,
  });
  if (exitCode === 0) await execa("umount", ["--lazy", place]);
}

/** Where programs lie, in the target, that packages find before those of the image (apt's DPkg::Path). */
export const programsInTarget = "/run/build";

/**
 * What packages find as update-initramfs: the initramfs is made once, when all packages are in place, by whom
 * (hooks/layer.DEBIAN, scripts/DEBIAN/60-initramfs) the note is for.
 */
const updateInitramfs = `#!/bin/sh
case " $* " in
  *" -d "*) exec /usr/sbin/update-initramfs "$@" ;;
  *) : > ${programsInTarget}/initramfs-is-due ;;
esac
`;

/**
 * Mounts a /run of its own in a root file system, with {@link programsInTarget} and the name servers where
 * systemd-resolved makes /etc/resolv.conf a link to.
 *
 * @returns the path of the file that names them
 */
export async function mountRunIn(target: string): Promise<string> {
  const run = join(target, "run");
  await mountTmpfs(run);
  const directory = join(run, "systemd/resolve");
  await mkdir(directory, { recursive: true });
  const stub = join(directory, "stub-resolv.conf");
  await writeFile(stub, await hostResolver());
  const programs = join(target, programsInTarget);
  await mkdir(programs);
  await writeFile(join(programs, "update-initramfs"), updateInitramfs, {
    mode: 0o755,
  });
  return stub;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function mountDevices(directory: string): Promise<void> {
  await mountTmpfs(directory);
  for (const node of deviceNodes) {
    await writeFile(join(directory, node), "");
    await execa("mount", ["--bind", `/dev/${node}`, join(directory, node)]);
  }
  await mkdir(join(directory, "pts"));
  await execa("mount", [
    "-t",
    "devpts",
    "-o",
    "newinstance,ptmxmode=0666,mode=620",
    "devpts",
    join(directory, "pts"),
  ]);
  await mkdir(join(directory, "shm"), { mode: 0o1777 });
  const links = {
    ptmx: "pts/ptmx",
    fd: "/proc/self/fd",
    stdin: "/proc/self/fd/0",
    stdout: "/proc/self/fd/1",
    stderr: "/proc/self/fd/2",
  };
  for (const [name, destination] of Object.entries(links)) {
    await symlink(destination, join(directory, name));
  }
  await execa("mount", ["--rbind", directory, "/dev"]);
}
