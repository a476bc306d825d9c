/** The smallest Debian that packages can be installed into, made by mmdebstrap. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { BuildRequest } from "./request.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Makes it in the target directory, which must be empty.
 *
 * @param sources where packages come from, in the form that sources.list(5) calls deb822
 * @param lists the package lists of these sources, as apt keeps them
 */
export async function makeMinimalSystem(
  { definition, archive }: BuildRequest,
  { target }: Workspace,
  sources: string,
  lists: string,
  log: NodeJS.WritableStream,
): Promise<void> {
  const [release = ""] = definition.release.suites.debian;
  const child = execa(
    "mmdebstrap",
    [
      "--mode=root",
      "--variant=minbase",
      "--format=directory",
      `--architectures=${definition.architecture}`,
      // Root of a user namespace cannot make device nodes: the build's own are mounted there. Whether programs of the
      // architecture run has been tried (foreignPrograms.ts), which mmdebstrap would use a package of its own for.
      "--skip=output/dev,check/qemu",
      // What is installed later needs the same lists.
      "--skip=update,cleanup/apt/lists",
      `--setup-hook=cp --recursive ${lists} "$1"/var/lib/apt/`,
      '--aptopt=APT::Sandbox::User "root"',
      '--aptopt=Acquire::Languages "none"',
      // Containers configure apt to keep no index of what it has read, and each run would read everything again.
      '--aptopt=Dir::Cache::srcpkgcache "srcpkgcache.bin"',
      // FAI brings the image's own sources.
      '--customize-hook=rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
      release,
      target,
      "-",
    ],
    {
      input: sources,
      all: true,
      buffer: false,
      env: { SOURCE_DATE_EPOCH: String(archive.epochSeconds) },
    },
  );
  child.all.pipe(log, { end: false });
  await child;
  // updateBase.sh compares it with the sources that there are then.
  const state = join(target, "var/lib/apt");
  await mkdir(state, { recursive: true });
  await writeFile(join(state, "sources-of-base"), sources);
}
