/** The small Debian that FAI starts from: made by mmdebstrap, kept for as long as the archive stays as it is. */

import { createHash } from "node:crypto";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { sourcesText } from "./aptSources.ts";
import type { BuildRequest } from "./request.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Makes the base system of a request's release and architecture, or finds it in the cache.
 *
 * @returns the path of its tar
 */
export async function provideBaseSystem(
  request: BuildRequest,
  { cache, archives }: Workspace,
  log: NodeJS.WritableStream,
): Promise<string> {
  const directory = join(cache, "base");
  await mkdir(directory, { recursive: true });
  const cached = join(directory, `${baseSystemName(request)}.tar`);
  if (await exists(cached)) return cached;
  const unfinished = join(archives, "base.tar");
  try {
    await makeBaseSystem(request, unfinished, log);
    await rename(unfinished, cached);
  } finally {
    await rm(unfinished, { force: true });
  }
  return cached;
}

/** Names a base system by all that decides it. */
export function baseSystemName({ definition, archive }: BuildRequest): string {
  const { codename } = definition.release;
  const digest = createHash("sha256")
    .update(JSON.stringify([archive.suites, archive.mirror]))
    .digest("hex");
  return `${codename}-${definition.architecture}-${digest.slice(0, 12)}`;
}

async function makeBaseSystem(
  { definition, archive }: BuildRequest,
  path: string,
  log: NodeJS.WritableStream,
): Promise<void> {
  const { suites } = definition.release;
  const [release = ""] = suites.debian;
  const child = execa(
    "mmdebstrap",
    [
      "--mode=root",
      "--variant=minbase",
      "--format=tar",
      `--architectures=${definition.architecture}`,
      // Root of a user namespace cannot make device nodes; hooks/debconf.DEBIAN mounts them. Whether programs of the
      // architecture run has been tried (foreignPrograms.ts), which mmdebstrap would use a package of its own for.
      "--skip=output/dev,check/qemu",
      '--aptopt=APT::Sandbox::User "root"',
      '--aptopt=Acquire::Languages "none"',
      // FAI brings the image's own sources.
      '--customize-hook=rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
      release,
      path,
      "-",
    ],
    {
      input: sourcesText(suites, archive.mirror),
      all: true,
      buffer: false,
      env: { SOURCE_DATE_EPOCH: String(archive.epochSeconds) },
    },
  );
  child.all.pipe(log, { end: false });
  await child;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
