/** Runs FAI into a directory, and believes its logs rather than its exit code. */

import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { BuildError } from "../../errors.ts";
import { aptProgressFrom, readAptLine } from "./aptProgress.ts";
import { sourcesText } from "./aptSources.ts";
import { failuresIn, readFaiLogs } from "./faiLogs.ts";
import { noFaiLogs } from "./faiStatus.ts";
import { type DiskIdentity, partitionsOf } from "./partitions.ts";
import {
  mountRunIn,
  programsInTarget,
  unmountProc,
  withMountsIn,
} from "./privateMounts.ts";
import type { BuildEvent, BuildRequest, Phase } from "./request.ts";
import type { Workspace } from "./workspace.ts";

/** FAI wants a host name; none of it stays in the image. */
const hostName = "localhost";

const aptConfiguration = "/dev/apt.conf";

/** FAI's own programs, on top of where a Debian has its. */
const faiPath =
  "/usr/lib/fai:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** An installation by FAI: what is installed, where, and where it says what it does. */
export interface Installation {
  readonly request: BuildRequest;
  readonly workspace: Workspace;
  readonly identity: DiskIdentity;
  readonly log: NodeJS.WritableStream;
  readonly tell: (event: BuildEvent) => void;
}

/**
 * Copies the config space and adds to it what only the build knows, the apt sources; makes FAI's programs fit for a
 * build beside others.
 */
export async function prepareFai({
  request,
  workspace,
}: Installation): Promise<void> {
  const { configSource, configSpace } = workspace;
  await cp(configSource, configSpace, { recursive: true });
  const sources = join(
    configSpace,
    "files/etc/apt/sources.list.d/debian.sources",
  );
  await mkdir(sources, { recursive: true });
  await writeFile(join(sources, "DEBIAN"), aptSourcesOf(request));
  await adaptInstallPackages(workspace);
  await replaceProgram("updatebase", join(workspace.builder, "updateBase.sh"));
  await writeFile(aptConfiguration, await aptSettings());
}

/** The text of the image's apt sources. */
export function aptSourcesOf({ archive, definition }: BuildRequest): string {
  return sourcesText(definition.release.suites, archive.mirror);
}

/**
 * Installs the packages of some classes into the target directory.
 *
 * @throws {BuildError} with what apt and dpkg say.
 */
export async function installPackages(
  installation: Installation,
  classes: readonly string[],
): Promise<void> {
  const { archives, builder, configSpace, scratch, target } =
    installation.workspace;
  const logs = join(scratch, "layer");
  await rm(logs, { recursive: true, force: true });
  await mkdir(logs);
  const program = join(builder, "layerInstall.sh");
  const environment = {
    FAI: configSpace,
    FAI_ROOT: target,
    target,
    classes: classes.join("\n"),
    verbose: "1",
    LOGDIR: logs,
  };
  await withMountsIn(target, archives, async () => {
    const { exitCode, output } = await run(
      installation,
      "shared packages",
      program,
      [],
      environment,
    );
    const software = { ...noFaiLogs, software: output };
    refuse(await failuresIn(software, configSpace), exitCode);
  });
}

/**
 * Installs the image's root file system, on top of what the target directory holds.
 *
 * @param installed classes whose packages, and answers to their questions, it holds already
 * @throws {BuildError} with every failure that FAI logged.
 */
export async function installWithFai(
  installation: Installation,
  installed: readonly string[],
): Promise<void> {
  const { request, workspace } = installation;
  const { target, configSpace, scratch } = workspace;
  // FAI would configure their packages anew, to no effect but time.
  for (const name of installed) {
    await rm(join(configSpace, "debconf", name), { force: true });
  }
  const archives = join(target, "var/cache/apt/archives");
  // FAI unmounts all below its target when it gets to its end, but for a container's /proc.
  await execa("mount", ["--bind", workspace.archives, archives]);
  await mountRunIn(target);
  // An empty one: the host's /etc/fai has apt sources that FAI would copy.
  const faiConfiguration = join(scratch, "fai");
  await mkdir(faiConfiguration);
  const { exitCode } = await run(installation, "package lists", "fai", [
    "-v",
    ...["-C", faiConfiguration],
    ...["-u", hostName],
    ...["-s", `file://${configSpace}`],
    ...["-c", request.definition.classes.join(",")],
    "install",
    target,
  ]);
  await unmountProc(join(target, "proc"));
  const logs = await readFaiLogs(`/var/log/fai/${hostName}/last`);
  installation.log.write(`\n=== scripts.log ===\n${logs.scripts}\n`);
  refuse(await failuresIn(logs, configSpace), exitCode);
}

function refuse(failures: readonly string[], exitCode: number | undefined) {
  if (failures.length > 0) {
    throw new BuildError(`FAI reports: ${failures.join("; ")}.`);
  }
  if (exitCode !== 0) {
    throw new BuildError(
      `FAI ended with exit code ${exitCode ?? "none"} and reports nothing.`,
    );
  }
}

/** Runs a program of FAI's, and tells how far it is. */
async function run(
  installation: Installation,
  phase: Phase,
  program: string,
  programArguments: readonly string[],
  environment: Readonly<Record<string, string>> = {},
) {
  const { log, tell, workspace } = installation;
  const child = execa(program, programArguments, {
    all: true,
    buffer: false,
    reject: false,
    stdin: "ignore",
    cwd: workspace.scratch,
    extendEnv: false,
    env: { ...faiEnvironment(installation), ...environment },
  });
  child.all.pipe(log, { end: false });
  let progress = aptProgressFrom(phase);
  let output = "";
  for await (const line of child.iterable({ from: "all" })) {
    output += `${line}\n`;
    const step = readAptLine(progress, line as string);
    progress = step.progress;
    step.events.forEach(tell);
  }
  const { exitCode } = await child;
  return { exitCode, output };
}

/** What FAI's programs run with, and what the scripts of the config space may use; see image-definitions/fai/README.md. */
export function faiEnvironment({
  request,
  workspace,
  identity,
}: Installation): Record<string, string> {
  const { architecture, disk } = request.definition;
  const { esp } = partitionsOf(architecture, disk.sizeGiB, identity);
  return {
    PATH: faiPath,
    HOME: "/root",
    LC_ALL: "C.UTF-8",
    DEBIAN_FRONTEND: "noninteractive",
    APT_CONFIG: aptConfiguration,
    // ROOTCMD as FAI would choose it, without a further pid namespace: progress stays in order.
    ROOTCMD: `chroot ${workspace.target}`,
    // The kernel's own hook would make an initramfs that the last packages make out of date.
    INITRD: "No",
    // apt itself says which names it does not know; FAI would read the whole archive for that.
    FAI_DISABLE_PACKAGE_NAME_CHECK: "1",
    IMAGE_ROOT_PARTUUID: identity.rootPartUuid,
    IMAGE_ESP_PARTUUID: esp?.uuid ?? "",
    IMAGE_ROOT_FS_UUID: identity.rootFsUuid,
    IMAGE_EPOCH: String(request.archive.epochSeconds),
  };
}

/** apt inside the target keeps to the host's proxies and its trust in dates, and fetches no index that nobody reads. */
async function aptSettings(): Promise<string> {
  const { stdout } = await execa("apt-config", ["dump", "Acquire"]);
  const hostSettings = stdout
    .split("\n")
    .filter((line) =>
      /^Acquire::((https?|ftp)::|Check-(Date|Valid-Until)\b)/.test(line),
    );
  return [
    ...hostSettings,
    'APT::Sandbox::User "root";',
    'APT::Keep-Downloaded-Packages "true";',
    // Out of date with every package that is installed: srcpkgcache.bin is what spares reading the lists again.
    'Dir::Cache::pkgcache "";',
    `DPkg::Path "${programsInTarget}:/usr/sbin:/usr/bin:/sbin:/bin";`,
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";',
    "",
  ].join("\n");
}

/**
 * install_packages(8) empties apt's archive before it begins, and so would every cache; and it reads the names of all
 * packages of the archive even where it is told not to check any. Run a copy of it that does neither. Should another
 * FAI word that differently, a build takes longer, nothing worse.
 */
async function adaptInstallPackages({ scratch }: Workspace): Promise<void> {
  const text = await readFile(await pathOf("install_packages"), "utf8");
  const copy = join(scratch, "install_packages");
  const adapted = text
    .replaceAll("apt-get clean", "true")
    .replace(/&& create_debian_pkg_list\(\)/, "&& 0");
  await writeFile(copy, adapted, { mode: 0o755 });
  await replaceProgram("install_packages", copy);
}

/** For this build alone, a program of FAI's is another one. */
async function replaceProgram(name: string, other: string): Promise<void> {
  await execa("mount", ["--bind", other, await pathOf(name)]);
}

async function pathOf(program: string): Promise<string> {
  const { stdout } = await execa("which", [program], {
    env: { PATH: faiPath },
  });
  return stdout;
}
