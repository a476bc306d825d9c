/**
 * The build as it runs inside its own user, mount and pid namespace: a program, started by build.ts with the
 * request on its command line as JSON. It says what it does on stdout and stderr (the log) and in BuildEvents
 * on file descriptor 3. It ends when its standard input does, so that it cannot outlive who started it; a line there
 * answers the event `ready`.
 */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { BuildError } from "../../errors.ts";
import type { Package } from "../../store/records.ts";
import type { Turn } from "../capacity.ts";
import { assembleDisk } from "./assemble.ts";
import { downloadAhead, fetchPackageLists } from "./downloadAhead.ts";
import {
  aptSourcesOf,
  type Installation,
  installPackages,
  installWithFai,
  prepareFai,
} from "./faiInstall.ts";
import { enableArchitecture } from "./foreignPrograms.ts";
import { makeMinimalSystem } from "./minimalSystem.ts";
import {
  borrowPackages,
  cachedNameOf,
  forgetUnused,
  returnPackages,
} from "./packageCache.ts";
import { diskIdentity } from "./partitions.ts";
import { mountPrivateSystem, mountWorkspace } from "./privateMounts.ts";
import type { BuildEvent, BuildResult, StartedBuild } from "./request.ts";
import { missingRoom } from "./room.ts";
import { provideRootFileSystem } from "./rootFileSystem.ts";
import { type Workspace, workspaceAt } from "./workspace.ts";

const events = createWriteStream("", { fd: 3 });
const tell = (event: BuildEvent) => events.write(`${JSON.stringify(event)}\n`);

process.stdin.on("end", () => process.exit(1)).resume();

const turn: Turn = {
  pass: () => tell({ kind: "waiting" }),
  async regain() {
    const answer = once(process.stdin, "data");
    tell({ kind: "ready" });
    await answer;
  },
};

const request = JSON.parse(process.argv[2] ?? "") as StartedBuild;
try {
  const result = await build(request);
  tell({ kind: "result", result });
  events.end(() => process.exit(0));
} catch (error) {
  // The last line is what the message of the BuildError will show.
  console.error(error instanceof Error ? error.message : error);
  tell({ kind: "failure" });
  events.end(() => process.exit(1));
}

async function build(request: StartedBuild): Promise<BuildResult> {
  const { definition } = request;
  const identity = diskIdentity(request.key);

  tell({ kind: "phase", phase: "prepare" });
  const workspace = await prepareWorkspace(request);
  await enableArchitecture(definition.architecture);
  const { archives, cache, target } = workspace;
  const log = process.stdout;
  const installation = { request, workspace, identity, log, tell };
  const packageCache = join(cache, "packages");
  await prepareFai(installation);
  await borrowPackages(packageCache, archives);

  tell({ kind: "phase", phase: "base system" });
  try {
    await provideRootFileSystem(
      request,
      workspace,
      (classes) => makeLayer(installation, classes),
      turn,
    );
    const shared = definition.layers.at(-1) ?? 0;
    await installWithFai(installation, definition.classes.slice(0, shared));
  } finally {
    await returnPackages(packageCache, archives);
  }

  tell({ kind: "phase", phase: "disk" });
  const packages = await installedPackages(target);
  await forgetUnused(packageCache, cachedNameOf(packages));
  const problem = missingRoom(definition.disk.sizeGiB, await filesMiB(target));
  if (problem !== undefined) throw new BuildError(`its files ${problem}`);
  await assembleDisk(join(workspace.output, "disk.raw"), {
    architecture: definition.architecture,
    target,
    scratch: workspace.scratch,
    identity,
    sizeGiB: definition.disk.sizeGiB,
    epochSeconds: request.archive.epochSeconds,
  });
  return { packages, tools: await toolVersions() };
}

/** Makes a layer of what the target directory holds already. */
async function makeLayer(
  installation: Installation,
  classes: readonly string[],
): Promise<void> {
  const { log, request, tell, workspace } = installation;
  log.write(`\n=== layer ${classes.join(" ") || "minimal"} ===\n`);
  if (classes.length > 0) {
    tell({ kind: "phase", phase: "shared packages" });
    await installPackages(installation, classes);
  } else {
    const lists = await fetchPackageLists(installation);
    const sources = aptSourcesOf(request);
    await Promise.all([
      makeMinimalSystem(request, workspace, sources, lists, log),
      downloadAhead(installation),
    ]);
  }
}

/** Makes everything that the build touches reachable below one mount point, and hides the rest. */
async function prepareWorkspace(request: StartedBuild): Promise<Workspace> {
  const { cacheDirectory, configSpace, outputDirectory } = request;
  const outside = {
    builder: import.meta.dirname,
    cache: cacheDirectory,
    output: outputDirectory,
    configSource: configSpace,
  };
  const root = await mountWorkspace(
    request.definition.build.memoryMiB,
    Object.values(outside),
  );
  for (const [name, path] of Object.entries(outside)) {
    await mkdir(join(root, name));
    await execa("mount", ["--bind", path, join(root, name)]);
  }
  for (const name of ["target", "scratch", "dev"])
    await mkdir(join(root, name));
  await mountPrivateSystem(join(root, "dev"));
  return workspaceAt(root, request.privateDirectory);
}

/** What all files below a directory take, in whole blocks. */
async function filesMiB(directory: string): Promise<number> {
  const { stdout } = await execa("du", [
    ...["--summarize", "--one-file-system", "--block-size=1M"],
    directory,
  ]);
  return Number.parseInt(stdout, 10);
}

async function installedPackages(target: string): Promise<Package[]> {
  const { stdout } = await execa("dpkg-query", [
    `--admindir=${join(target, "var/lib/dpkg")}`,
    "--show",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
    "--showformat=${Package}\\t${Version}\\t${Architecture}\\n",
  ]);
  return stdout.split("\n").map((line) => {
    const [name = "", version = "", architecture = ""] = line.split("\t");
    return { name, version, architecture };
  });
}

async function toolVersions(): Promise<Record<string, string>> {
  const { stdout } = await execa("dpkg-query", [
    "--show",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
    "--showformat=${Package}\\t${Version}\\n",
    ...[
      "fai-client",
      "mmdebstrap",
      "e2fsprogs",
      "dosfstools",
      "mtools",
      "fdisk",
    ],
  ]);
  return Object.fromEntries(
    stdout.split("\n").map((line) => line.split("\t") as [string, string]),
  );
}
