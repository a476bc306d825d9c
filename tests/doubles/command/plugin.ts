/**
 * Stands for the provider plugin of @pulumi/command: commands on other machines, over the real ssh, as the sources of the
 * plugin have it (remote/commandOutputs.go): input, host key, what is logged and what a failure tells.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { projectPath } from "../../../infra/projectPaths.ts";
import packageJson from "../../../node_modules/@pulumi/command/package.json" with {
  type: "json",
};
import { serve } from "../pluginServer.ts";
import type { ResourceKind } from "../resourceKind.ts";
import { DeclaredShapes } from "../shapes.ts";
import type { Properties } from "../values.ts";

const shapes = new DeclaredShapes(projectPath("node_modules/@pulumi/command"));
const shape = shapes.ofResource("remote/command", "Command");

/** What reaches the machine. */
async function run(inputs: Properties, command: string): Promise<Properties> {
  const connection = inputs.connection as Properties;
  const { host, hostKey, port = 22, privateKey, user = "root" } = connection;
  const directory = await mkdtemp(join(tmpdir(), "command-plugin-"));
  try {
    const knownHosts = join(directory, "known-hosts");
    const key = join(directory, "key");
    await writeFile(knownHosts, `[${host}]:${port} ${hostKey}\n`);
    await writeFile(key, `${privateKey ?? ""}`, { mode: 0o600 });
    const { exitCode, stdout, stderr, all } = await execa(
      "ssh",
      [
        ...["-F", "none", "-T", "-p", String(port), "-l", String(user)],
        ...["-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${knownHosts}`],
        ...[
          "-o",
          `StrictHostKeyChecking=${hostKey === undefined ? "no" : "yes"}`,
        ],
        ...(privateKey === undefined
          ? []
          : ["-o", "IdentitiesOnly=yes", "-i", key]),
        ...[String(host), "--", command],
      ],
      { input: String(inputs.stdin ?? ""), all: true, reject: false },
    );
    if (exitCode !== 0) {
      throw new Error(
        `Process exited with status ${exitCode}: running ${JSON.stringify(command)}:\n${all}`,
      );
    }
    if (inputs.logging !== "none" && stdout !== "") console.error(stdout);
    return { stdout, stderr };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const commandKind: ResourceKind<object> = {
  shape,
  updatable: new Set(shape.keys()),
  computed: new Set(),
  outputs: ["stdout", "stderr"],

  async create(_cloud, inputs) {
    const outputs =
      inputs.create === undefined
        ? { stdout: "", stderr: "" }
        : await run(inputs, String(inputs.create));
    return { id: `command${randomBytes(4).toString("hex")}`, outputs };
  },
  async read(_cloud, _id, known) {
    return known;
  },
  async update(_cloud, _id, _olds, news) {
    return run(news, String(news.update ?? news.create));
  },
  async delete(_cloud, _id, outputs) {
    if (outputs.delete !== undefined) {
      await run(outputs, String(outputs.delete));
    }
  },
};

await serve({
  version: packageJson.version,
  shapes,
  configShape: new Map(),
  connect: () => ({}),
  defaults: () => ({}),
  kinds: new Map([["command:remote:Command", commandKind]]),
});
