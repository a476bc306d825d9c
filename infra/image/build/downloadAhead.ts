/** Downloads an image's packages while the minimal system that they go into is still being made. */

import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { aptSourcesOf, type Installation } from "./faiInstall.ts";

/**
 * Fills the archive directory with the packages of the image's classes, as far as apt can tell them beforehand, and
 * the target with the package lists. It may fail, or miss some: what is not there is downloaded when it is needed.
 *
 * @param environment what FAI's programs run with
 * @param minimal resolves when the target directory has a system
 */
export async function downloadAhead(
  { request, workspace, log }: Installation,
  environment: Readonly<Record<string, string>>,
  minimal: Promise<void>,
): Promise<void> {
  const { archives, configSpace, scratch, target } = workspace;
  const state = join(scratch, "ahead");
  const lists = join(state, "lists");
  await mkdir(join(lists, "partial"), { recursive: true });
  await writeFile(join(state, "status"), "");
  const { classes, architecture } = request.definition;
  const sources = join(state, "debian.sources");
  await writeFile(sources, aptSourcesOf(request));
  const aptOptions = [
    `Dir::State=${state}`,
    `Dir::State::lists=${lists}`,
    `Dir::State::status=${state}/status`,
    `Dir::Cache=${state}`,
    `Dir::Cache::archives=${archives}`,
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=/dev/null",
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
  ].flatMap((option) => ["-o", option]);
  const run = async (
    program: string,
    programArguments: readonly string[],
    more: Readonly<Record<string, string>>,
  ) => {
    const child = execa(program, programArguments, {
      all: true,
      buffer: false,
      reject: false,
      stdin: "ignore",
      extendEnv: false,
      env: { ...environment, ...more },
    });
    child.all.pipe(log, { end: false });
    return (await child).exitCode === 0;
  };

  const listed = await run("apt-get", ["update", ...aptOptions], {});
  if (!listed) return;
  // Download only, without a root file system: what fai-mirror(1) does.
  await run("install_packages", ["-d"], {
    FAI: configSpace,
    classes: classes.join("\n"),
    aptoptions: aptOptions.join(" "),
    verbose: "1",
  });
  await minimal;
  await cp(lists, join(target, "var/lib/apt/lists"), { recursive: true });
}
