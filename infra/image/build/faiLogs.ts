/** Reads what FAI says of an installation, from its log directory. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type FaiFailure,
  type FaiLogs,
  faiFailures,
  type PackageFiles,
} from "./faiStatus.ts";

/** FAI's logs of one run; see {@link FaiLogs}. */
export async function readFaiLogs(directory: string): Promise<FaiLogs> {
  const text = (name: string) =>
    readFile(join(directory, name), "utf8").catch(() => "");
  return {
    status: await text("status.log"),
    main: await text("fai.log"),
    scripts: await text("scripts.log"),
    software: await text("software.log"),
    taskError: await text("task_error"),
  };
}

/** Everything that went wrong in the run, by its logs and the config space that it used. */
export async function failuresIn(
  logs: FaiLogs,
  configSpace: string,
): Promise<readonly FaiFailure[]> {
  return faiFailures(logs, await packageFiles(configSpace));
}

async function packageFiles(configSpace: string): Promise<PackageFiles> {
  const directory = "package_config";
  const names = await readdir(join(configSpace, directory));
  const files = names.map(async (name) => {
    const path = join(directory, name);
    return [path, await readFile(join(configSpace, path), "utf8")] as const;
  });
  return Object.fromEntries(await Promise.all(files));
}
