/** The engine as tests run it: the one that set-up found, plugins that stand in for providers, a backend of the test's. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectPath } from "../infra/projectPaths.ts";

/**
 * The environment of an engine whose state is below a directory, in `backend` and `home`.
 *
 * @param programs directories of programs that come before all others
 */
export function engineEnvironment(
  directory: string,
  programs: readonly string[] = [],
): Readonly<Record<string, string>> {
  return {
    HOME: directory,
    PATH: [
      ...programs,
      projectPath("tests/doubles/bin"),
      process.env.PATH,
    ].join(":"),
    PULUMI_BACKEND_URL: pathToFileURL(join(directory, "backend")).href,
    PULUMI_CONFIG_PASSPHRASE: "",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_HOME: join(directory, "home"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
}
