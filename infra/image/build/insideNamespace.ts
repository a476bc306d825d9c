/**
 * The build as it runs inside its own user, mount and pid namespace: a program, started by build.ts with the
 * request on its command line as JSON. It says what it does on stdout and stderr (the log) and in BuildEvents
 * on file descriptor 3. It ends when its standard input does, so that it cannot outlive who started it.
 */

import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Package } from "../../store/records.ts";
import { assembleDisk } from "./assemble.ts";
import {
  addBaseSystem,
  borrowPackages,
  installWithFai,
  prepareConfigSpace,
  returnPackages,
} from "./faiInstall.ts";
import { enableArchitecture } from "./foreignPrograms.ts";
import { diskIdentity } from "./partitions.ts";
import { mountPrivateSystem, mountWorkspace } from "./privateMounts.ts";
import type { BuildEvent, BuildResult, StartedBuild } from "./request.ts";
import { type Workspace, workspaceAt } from "./workspace.ts";

const events = createWriteStream("", { fd: 3 });
const tell = (event: BuildEvent) => events.write(`${JSON.stringify(event)}\n`);

process.stdin.on("end", () => process.exit(1)).resume();

const request = JSON.parse(process.argv[2] ?? "") as StartedBuild;
try {
  const result = await build(request);
  tell({ kind: "result", result });
  events.end(() => process.exit(0));
} catch (error) {
  // The last line is what the message of the BuildError will show.
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

async function build(request: StartedBuild): Promise<BuildResult> {
  const { definition } = request;
  const identity = diskIdentity(request.key);

  tell({ kind: "phase", phase: "prepare" });
  const workspace = await prepareWorkspace(request);
  await enableArchitecture(definition.architecture);
  await prepareConfigSpace(request, workspace);

  tell({ kind: "phase", phase: "base system" });
  await borrowPackages(workspace);
  try {
    await addBaseSystem(request, workspace, process.stdout);
    await installWithFai(request, workspace, identity, process.stdout, tell);
  } finally {
    await returnPackages(workspace);
  }

  tell({ kind: "phase", phase: "disk" });
  const packages = await installedPackages(workspace.target);
  await assembleDisk(join(workspace.output, "disk.raw"), {
    architecture: definition.architecture,
    target: workspace.target,
    scratch: workspace.scratch,
    identity,
    sizeGiB: definition.disk.sizeGiB,
    epochSeconds: request.archive.epochSeconds,
  });
  return { packages, tools: await toolVersions() };
}

/** Makes everything that the build touches reachable below one mount point, and hides the rest. */
async function prepareWorkspace(request: StartedBuild): Promise<Workspace> {
  const { cacheDirectory, configSpace, outputDirectory } = request;
  const outside = {
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
