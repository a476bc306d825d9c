/** What is downloaded before there is a system to install into: package lists, then packages. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { BuildError } from "../../errors.ts";
import { aptOptions, fetchLists } from "../archive.ts";
import { faiEnvironment, type Installation } from "./faiInstall.ts";

/**
 * Fetches the package lists of the image's sources.
 *
 * @returns the directory that has them, whose name is `lists`
 * @throws {BuildError} with what apt says.
 */
export async function fetchPackageLists({
  request,
  workspace,
  log,
}: Installation): Promise<string> {
  const { archive, definition } = request;
  const { architecture, release } = definition;
  const { suites } = release;
  const { mirror } = archive;
  const wanted = { suites, architecture, mirror, target: "Packages" } as const;
  const failure = await fetchLists(wanted, stateIn(workspace.scratch));
  if (failure !== undefined) {
    log.write(`${failure}\n`);
    const errors = failure.match(/^E: .*$/gm) ?? [];
    throw new BuildError(
      `apt cannot fetch the package lists: ${errors.join("; ")}`,
    );
  }
  return join(stateIn(workspace.scratch), "lists");
}

/**
 * Fills the archive directory with the packages of the image's classes, as far as apt can tell them before there is a
 * system. It may fail, or miss some: what is not there is downloaded when it is needed.
 */
export async function downloadAhead(installation: Installation): Promise<void> {
  const { log, request, workspace } = installation;
  const { classes, architecture } = request.definition;
  const state = stateIn(workspace.scratch);
  const options = [
    ...aptOptions(architecture, state),
    ...["-o", `Dir::State::status=${state}/status`],
    ...["-o", `Dir::Cache::archives=${workspace.archives}`],
  ];
  await writeFile(join(state, "status"), "");
  // Download only, without a root file system: what fai-mirror(1) does.
  const child = execa("install_packages", ["-d"], {
    all: true,
    buffer: false,
    reject: false,
    stdin: "ignore",
    extendEnv: false,
    env: {
      ...faiEnvironment(installation),
      FAI: workspace.configSpace,
      classes: classes.join("\n"),
      aptoptions: options.join(" "),
      verbose: "1",
    },
  });
  child.all.pipe(log, { end: false });
  await child;
}

function stateIn(scratch: string): string {
  return join(scratch, "ahead");
}
