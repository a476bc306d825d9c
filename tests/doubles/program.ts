/** Small Pulumi programs of tests, brought up by the real engine with stand-in plugins. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectPath } from "../../infra/projectPaths.ts";
import { engineEnvironment } from "../engine.ts";

/** How an engine's run ended. */
export interface Run {
  readonly exitCode: number;
  /** Everything that was printed, in its order. */
  readonly output: string;
}

/** @throws with everything that was printed, when the engine was not content. */
export function requireSuccess({ exitCode, output }: Run): void {
  if (exitCode !== 0) throw new Error(`Exit code ${exitCode}:\n${output}`);
}

/** A program with one stack, in a directory of its own. */
export class TestProgram implements AsyncDisposable {
  readonly directory: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    directory: string,
    env: Readonly<Record<string, string>>,
  ) {
    this.directory = directory;
    this.#env = env;
  }

  /** @param env variables for the program and the plugins */
  static async create(
    env: Readonly<Record<string, string>>,
  ): Promise<TestProgram> {
    const directory = await mkdtemp(join(tmpdir(), "cloud-images-program-"));
    await mkdir(join(directory, "backend"));
    await symlink(projectPath("node_modules"), join(directory, "node_modules"));
    // Where dynamic resources look for it, as if the program were that of the project.
    await symlink(projectPath("infra/dynamic"), join(directory, "dynamic"));
    const files = {
      "Pulumi.yaml":
        "name: double\nmain: index.ts\nruntime:\n  name: nodejs\n  options:\n    typescript: false\n",
      "package.json": '{ "type": "module" }\n',
    };
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(directory, name), text);
    }
    const program = new TestProgram(directory, env);
    await program.pulumi("stack", "init", "test");
    return program;
  }

  /** Replaces the program. */
  async write(text: string): Promise<void> {
    await writeFile(join(this.directory, "index.ts"), text);
  }

  /** Runs the engine to its end. */
  async pulumi(...args: readonly string[]): Promise<Run> {
    const child = spawn("pulumi", [...args, "--non-interactive"], {
      cwd: this.directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...engineEnvironment(this.directory),
        ...this.#env,
      },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const [code] = await once(child, "close");
    return { exitCode: code ?? -1, output };
  }

  /** Brings the stack up. */
  up(...args: readonly string[]): Promise<Run> {
    return this.pulumi("up", "--yes", "--skip-preview", ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}
