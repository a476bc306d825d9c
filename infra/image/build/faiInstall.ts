/** Runs FAI's `install` action into a directory, and believes its logs rather than its exit code. */

import {
  cp,
  link,
  mkdir,
  readdir,
  readFile,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { BuildError } from "../../errors.ts";
import { aptProgressStart, readAptLine } from "./aptProgress.ts";
import { sourcesText } from "./aptSources.ts";
import { provideBaseSystem } from "./baseSystem.ts";
import { failuresIn, readFaiLogs } from "./faiLogs.ts";
import { type DiskIdentity, partitionsOf } from "./partitions.ts";
import type { BuildEvent, BuildRequest } from "./request.ts";
import type { Workspace } from "./workspace.ts";

/** FAI wants a host name; none of it stays in the image. */
const hostName = "localhost";

/**
 * Copies the config space and adds to it what only the build knows: the base system and the apt sources.
 */
export async function prepareConfigSpace(
  request: BuildRequest,
  workspace: Workspace,
): Promise<void> {
  const { configSource, configSpace } = workspace;
  await cp(configSource, configSpace, { recursive: true });
  const sources = join(
    configSpace,
    "files/etc/apt/sources.list.d/debian.sources",
  );
  await mkdir(sources, { recursive: true });
  const { suites } = request.definition.release;
  await writeFile(
    join(sources, "DEBIAN"),
    sourcesText(suites, request.archive.mirror),
  );
}

/** Makes or finds the base system, and puts it where FAI looks for it: under the name of a class. */
export async function addBaseSystem(
  request: BuildRequest,
  workspace: Workspace,
  log: NodeJS.WritableStream,
): Promise<void> {
  const base = await provideBaseSystem(request, workspace, log);
  const baseFiles = join(workspace.configSpace, "basefiles");
  await mkdir(baseFiles);
  const place = join(baseFiles, "DEBIAN.tar");
  await writeFile(place, "");
  await execa("mount", ["--bind", base, place]);
}

/**
 * Installs the image's root file system.
 *
 * @throws {BuildError} with every failure that FAI logged.
 */
export async function installWithFai(
  request: BuildRequest,
  workspace: Workspace,
  identity: DiskIdentity,
  log: NodeJS.WritableStream,
  tell: (event: BuildEvent) => void,
): Promise<void> {
  await keepDownloads(workspace);
  const { target, configSpace, scratch } = workspace;
  const archives = join(target, "var/cache/apt/archives");
  await mkdir(archives, { recursive: true });
  // FAI unmounts all below its target when it gets to its end.
  await execa("mount", ["--bind", workspace.archives, archives]);
  // An empty one: the host's /etc/fai has apt sources that FAI would copy.
  const faiConfiguration = join(scratch, "fai");
  await mkdir(faiConfiguration);
  const aptConfiguration = join("/dev", "apt.conf");
  await writeFile(aptConfiguration, await aptSettings());
  const child = execa(
    "fai",
    [
      "-v",
      ...["-C", faiConfiguration],
      ...["-u", hostName],
      ...["-s", `file://${configSpace}`],
      ...["-c", request.definition.classes.join(",")],
      "install",
      target,
    ],
    {
      all: true,
      buffer: false,
      reject: false,
      stdin: "ignore",
      cwd: scratch,
      extendEnv: false,
      env: {
        ...faiEnvironment(request, identity),
        APT_CONFIG: aptConfiguration,
        // ROOTCMD as FAI would choose it, without a further pid namespace: progress stays in order.
        ROOTCMD: `chroot ${target}`,
      },
    },
  );
  child.all.pipe(log, { end: false });
  let progress = aptProgressStart;
  for await (const line of child.iterable({ from: "all" })) {
    const step = readAptLine(progress, line);
    progress = step.progress;
    step.events.forEach(tell);
  }
  const result = await child;
  const logs = await readFaiLogs(`/var/log/fai/${hostName}/last`);
  log.write(`\n=== scripts.log ===\n${logs.scripts}\n`);
  const failures = await failuresIn(logs, configSpace);
  if (failures.length > 0) {
    throw new BuildError(`FAI reports: ${failures.join("; ")}.`);
  }
  if (result.exitCode !== 0) {
    throw new BuildError(
      `FAI ended with exit code ${result.exitCode ?? result.signal} and reports nothing.`,
    );
  }
}

/** What the scripts of the config space may use; see image-definitions/fai/README.md. */
function faiEnvironment(
  { archive, definition }: BuildRequest,
  identity: DiskIdentity,
): Record<string, string> {
  const { esp } = partitionsOf(
    definition.architecture,
    definition.disk.sizeGiB,
    identity,
  );
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    LC_ALL: "C.UTF-8",
    DEBIAN_FRONTEND: "noninteractive",
    // The kernel's own hook would make an initramfs that the last packages make out of date.
    INITRD: "No",
    IMAGE_ROOT_PARTUUID: identity.rootPartUuid,
    IMAGE_ESP_PARTUUID: esp?.uuid ?? "",
    IMAGE_ROOT_FS_UUID: identity.rootFsUuid,
    IMAGE_EPOCH: String(archive.epochSeconds),
  };
}

/** apt inside the target keeps to the host's proxies, and fetches no index that nobody reads. */
async function aptSettings(): Promise<string> {
  const { stdout } = await execa("apt-config", ["dump", "Acquire"]);
  const hostSettings = stdout
    .split("\n")
    .filter((line) => /^Acquire::(https?|ftp)::/.test(line));
  return [
    ...hostSettings,
    'APT::Sandbox::User "root";',
    'APT::Keep-Downloaded-Packages "true";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";',
    "",
  ].join("\n");
}

/**
 * install_packages(8) empties apt's archive before it begins, and so would every cache: run a copy of it
 * that does not. Should another FAI word that differently, packages are downloaded again, nothing worse.
 */
async function keepDownloads({ scratch }: Workspace): Promise<void> {
  const { stdout: program } = await execa("which", ["install_packages"]);
  const text = await readFile(program, "utf8");
  const copy = join(scratch, "install_packages");
  await writeFile(copy, text.replaceAll("apt-get clean", "true"), {
    mode: 0o755,
  });
  await execa("mount", ["--bind", copy, program]);
}

/**
 * Fills a build's package directory from the cache, by links: apt locks a directory, so each build has its own.
 */
export async function borrowPackages({
  cache: root,
  archives,
}: Workspace): Promise<void> {
  const cache = join(root, "packages");
  await mkdir(cache, { recursive: true });
  await mkdir(join(archives, "partial"));
  for (const name of await packagesIn(cache)) {
    await link(join(cache, name), join(archives, name));
  }
}

/** Links packages that were downloaded back into the cache. */
export async function returnPackages({
  cache: root,
  archives,
}: Workspace): Promise<void> {
  const cache = join(root, "packages");
  const known = new Set(await packagesIn(cache));
  for (const name of await packagesIn(archives)) {
    if (known.has(name)) continue;
    // Another build may have been faster.
    await link(join(archives, name), join(cache, name)).catch(() => undefined);
  }
}

async function packagesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(".deb"));
}
