/** A copy of the whole project that brings up stacks of its own, with the real engine. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDirectory } from "../../infra/projectPaths.ts";
import { sha256OfFile } from "../../infra/store/digest.ts";

/** What git has, as far as stacks need it. */
const copied = [
  "Pulumi.yaml",
  "Pulumi.local.yaml",
  "biome.json",
  "image-definitions",
  "infra",
  "package-lock.json",
  "package.json",
  "scripts",
  "sdks",
  "tsconfig.json",
];
/** What set-up made, and the packages that builds download. */
const shared = [".cache", ".tools", "node_modules"];

/** Copies the project to a new directory. */
export async function makeProject(): Promise<string> {
  const project = await mkdtemp(join(tmpdir(), "cloud-images-test-"));
  for (const name of copied) {
    await cp(join(projectDirectory, name), join(project, name), {
      recursive: true,
    });
  }
  for (const name of shared) {
    await mkdir(join(projectDirectory, name), { recursive: true });
    await symlink(join(projectDirectory, name), join(project, name));
  }
  return project;
}

/** Has the stack of a copy make and publish that format, and no other: compression takes longer than anything else. */
export async function publishQcow2Alone(project: string): Promise<void> {
  await editFile(
    join(project, "Pulumi.local.yaml"),
    "    path: public\n",
    "    path: public\n    formats: [qcow2]\n",
  );
}

/** Replaces a text that a file of the copy must have. */
export async function editFile(
  path: string,
  from: string,
  to: string,
): Promise<void> {
  const text = await readFile(path, "utf8");
  const edited = text.replaceAll(from, to);
  if (edited === text) throw new Error(`${path} has no ${from}.`);
  await writeFile(path, edited);
}

/** A program that has ended. */
export interface Ended {
  readonly exitCode: number;
  /** Everything that was printed, in its order. */
  readonly output: string;
}

/** Runs one of the project's scripts to its end. */
export async function runScript(
  project: string,
  script: string,
  args: readonly string[] = [],
): Promise<Ended> {
  return new RunningScript(project, script, args).ended;
}

/** One of the project's scripts, at work. */
export class RunningScript {
  readonly ended: Promise<Ended>;
  #output = "";
  readonly #project: string;
  #onOutput: () => void = () => {};

  constructor(project: string, script: string, args: readonly string[] = []) {
    this.#project = project;
    const child = spawn(join(project, "scripts", script), args, {
      cwd: project,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, HOME: process.env.HOME },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
        this.#onOutput();
      });
    }
    this.ended = once(child, "close").then(([code]) => ({
      exitCode: code ?? -1,
      output: this.#output,
    }));
  }

  /** Waits for something to be printed, and fails with all output when the script ends before. */
  async waitFor(pattern: RegExp): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#onOutput = () => {
        if (pattern.test(this.#output)) resolve();
      };
      this.#onOutput();
    });
    const missed = this.ended.then(({ output }) => {
      if (!pattern.test(output)) {
        throw new Error(`Ended without ${pattern}:\n${output}`);
      }
    });
    await Promise.race([seen, missed]);
  }

  /** Kills the engine, and nothing else, in a way that it cannot notice. */
  async killEngine(): Promise<void> {
    const [engine] = await processesOf(
      this.#project,
      ([program]) => program?.endsWith("pulumi") ?? false,
    );
    if (engine === undefined) throw new Error("No engine runs.");
    process.kill(engine, "SIGKILL");
  }
}

/**
 * Ids of the processes that work in or on a directory.
 *
 * @param isWanted looks at the arguments of a process
 */
export async function processesOf(
  directory: string,
  isWanted: (args: readonly string[]) => boolean = () => true,
): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    // A process may end while it is looked at.
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(
      () => "",
    );
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => "");
    const isHere = cwd.startsWith(directory) || command.includes(directory);
    if (isHere && isWanted(command.split("\0"))) found.push(Number(name));
  }
  return found;
}

/** Waits until no process works in or on a directory, and returns those that still do after some seconds. */
export async function lastingProcesses(
  directory: string,
  patienceSeconds: number,
): Promise<readonly number[]> {
  const end = Date.now() + patienceSeconds * 1000;
  for (;;) {
    const processes = await processesOf(directory);
    if (processes.length === 0 || Date.now() > end) return processes;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Waits for a file or directory; fails when the script ends before. */
export async function untilExists(
  path: string,
  ended: Promise<Ended>,
): Promise<void> {
  let output: string | undefined;
  void ended.then((end) => {
    output = end.output;
  });
  while (!existsSync(path)) {
    if (output !== undefined)
      throw new Error(`Ended before ${path}:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Paths of all files and links below a directory, sorted; none when it does not exist. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, {
    recursive: true,
    withFileTypes: true,
  }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name).slice(directory.length + 1),
    )
    .sort();
}

/** One text that changes with every file and every link below a directory. */
export async function fingerprint(directory: string): Promise<string> {
  const lines = [];
  for (const path of await filesBelow(directory)) {
    const absolute = join(directory, path);
    const target = await readlink(absolute).catch(() => undefined);
    lines.push(`${path} ${target ?? (await sha256OfFile(absolute)).sha256}`);
  }
  return lines.join("\n");
}

/** Ends what works in the copy and removes it; the directories that it shares stay. */
export async function removeProject(project: string): Promise<void> {
  // Where no copy was made, every process would be in it.
  if (project === "") return;
  for (const id of await processesOf(project)) process.kill(id, "SIGKILL");
  await rm(project, { recursive: true, force: true });
}
