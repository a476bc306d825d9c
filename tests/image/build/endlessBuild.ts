/** A build by FAI whose first hook never ends, so that a test can end it; it needs no network. */

import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfigSpace } from "../../../infra/definitions/configSpace.ts";
import type {
  DefinitionName,
  ImageKey,
} from "../../../infra/definitions/definition.ts";
import { keepLayer } from "../../../infra/image/build/layerCache.ts";
import { layersOf } from "../../../infra/image/build/layers.ts";
import type { BuildRequest } from "../../../infra/image/build/request.ts";
import { definitionWith } from "../../definitions/fixtures.ts";

/** Says that it runs, leaves a process of its own session behind that minds no gentle signal, and waits. */
const hook = `#!/bin/sh
setsid sh -c 'trap "" HUP INT TERM; sleep 3600; :' </dev/null >/dev/null 2>&1 &
echo The hook waits.
sleep 3600
`;

/** What the build's log has once the hook runs. */
export const hookSign = "The hook waits.";

/** The request for that build, in directories of a test's. */
export function endlessRequest(
  directory: string,
  timeoutSeconds: number,
): BuildRequest {
  return {
    definition: definitionWith({
      name: "debian-13-endless-amd64" as DefinitionName,
      classes: ["DEBIAN"],
      layers: [],
      build: { timeoutSeconds, memoryMiB: 64 },
    }),
    key: "e".repeat(64) as ImageKey,
    archive: {
      mirror: { debian: "file:/nowhere", security: "file:/nowhere" },
      suites: {},
      epochSeconds: 1_795_230_000,
    },
    builder: "b",
    configSpace: join(directory, "fai"),
    outputDirectory: join(directory, "output"),
    cacheDirectory: join(directory, "cache"),
  };
}

/** Where that build logs. */
export function logOf(directory: string): string {
  return join(directory, "build.log");
}

/** Runs `use` with a directory that has what the build needs; ends what is left of it, and removes it. */
export async function withEndlessBuild(
  use: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "build-test-"));
  const { cacheDirectory, configSpace, outputDirectory, ...request } =
    endlessRequest(directory, 600);
  try {
    await mkdir(outputDirectory);
    await mkdir(join(configSpace, "class"), { recursive: true });
    await mkdir(join(configSpace, "hooks"));
    await writeFile(join(configSpace, "hooks/partition.DEBIAN"), hook, {
      mode: 0o755,
    });
    const [minimal] = layersOf(
      request.definition,
      request.archive,
      await readConfigSpace(configSpace),
      request.builder,
    );
    const layers = join(cacheDirectory, "layers");
    await mkdir(layers, { recursive: true });
    const root = join(directory, "root");
    await mkdir(join(root, "var/cache/apt/archives"), { recursive: true });
    await mkdir(join(root, "run"));
    await keepLayer(
      layers,
      minimal?.name ?? "",
      root,
      join(layers, "unfinished"),
    );
    await use(directory);
  } finally {
    for (const { pid } of await processesOfBuild(directory)) {
      process.kill(pid, "SIGKILL");
    }
    await rm(directory, { recursive: true, force: true });
  }
}

/** A process, such that another one with the same id later is not taken for it. */
export interface Process {
  readonly pid: number;
  readonly startTicks: string;
  readonly command: string;
}

/** All processes of a build: those that were given its directory, and all of their pid namespaces. */
export async function processesOfBuild(
  directory: string,
): Promise<readonly Process[]> {
  const own = await readlink("/proc/self/ns/pid");
  const all = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .map((name) => describeProcess(Number(name))),
  );
  const living = all.filter((each) => each !== undefined);
  const given = living.filter(({ command }) => command.includes(directory));
  const namespaces = new Set(given.map(({ namespace }) => namespace));
  namespaces.delete(own);
  return living.filter(
    (each) => given.includes(each) || namespaces.has(each.namespace),
  );
}

/** Those of the processes that still run. */
export async function stillRunning(
  processes: readonly Process[],
): Promise<readonly Process[]> {
  const now = await Promise.all(
    processes.map(({ pid }) => describeProcess(pid)),
  );
  return processes.filter(
    ({ startTicks }, index) => now[index]?.startTicks === startTicks,
  );
}

/** `undefined` for a process that is gone, or that only waits for somebody to take note of its end. */
async function describeProcess(
  pid: number,
): Promise<(Process & { readonly namespace: string }) | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses and may itself hold any character.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z") return undefined;
    return {
      pid,
      startTicks: fields[19] ?? "",
      command: (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll(
        "\0",
        " ",
      ),
      namespace: await readlink(`/proc/${pid}/ns/pid`),
    };
  } catch {
    return undefined;
  }
}
