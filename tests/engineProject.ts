/** A small project brought up by the real engine, whose images are in the store already: nothing is built or booted. */

import { cp, mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type {
  Definition,
  ImageKey,
  ImageVersion,
} from "../infra/definitions/definition.ts";
import type { ArchiveState } from "../infra/image/archive.ts";
import { projectDirectory } from "../infra/projectPaths.ts";
import { DirectoryStore } from "../infra/store/directoryStore.ts";
import { writeBuild } from "../infra/store/documents.ts";
import type { BuildRecord } from "../infra/store/records.ts";
import type { Artifact, Store } from "../infra/store/store.ts";
import { DeclaredProject } from "./declaredProject.ts";
import { engineEnvironment } from "./engine.ts";
import { processesOf } from "./stack/checkout.ts";
import { storeBootCheck } from "./store/records.ts";

/** The stack's own name. */
const stack = "mine";

/** How a command of the engine ended. */
export interface EngineEnd {
  readonly exitCode: number;
  /** Everything that was printed, in its order. */
  readonly output: string;
}

/** A command of the engine at work. */
export interface RunningEngine {
  readonly ended: Promise<EngineEnd>;
  /** Kills the engine, and nothing else, in a way that it cannot notice. */
  readonly kill: () => void;
}

/** The disk of a prepared image. */
export interface PreparedDisk {
  readonly sizeBytes: number;
  /** What is in it; the rest is a hole. */
  readonly pieces: readonly {
    readonly at: number;
    readonly content: Buffer;
  }[];
}

export class EngineProject extends DeclaredProject {
  #config: Record<string, string> = {};

  override async fill(): Promise<void> {
    await super.fill();
    for (const name of ["Pulumi.yaml", "scripts"]) {
      await cp(join(projectDirectory, name), this.path(name), {
        recursive: true,
      });
    }
    for (const name of ["backend", "home"]) await mkdir(this.path(name));
  }

  /** Ends what a killed engine left, which knows nothing of its end, and removes the project. */
  override async remove(): Promise<void> {
    for (const id of await processesOf(this.directory)) {
      process.kill(id, "SIGKILL");
    }
    await super.remove();
  }

  /** The store of the stack. */
  get store(): DirectoryStore {
    return new DirectoryStore(this.path("store"));
  }

  /** Gives the stack its configuration. */
  async configure(changes: Readonly<Record<string, unknown>>): Promise<void> {
    this.#config = this.configWith(changes);
    const values = Object.entries(this.#config).map(([name, value]) => [
      name,
      JSON.parse(value) as unknown,
    ]);
    await this.write(
      `Pulumi.${stack}.yaml`,
      JSON.stringify({ config: Object.fromEntries(values) }),
    );
  }

  /**
   * Puts builds of all current keys into the store, boot-checked, as if another runner had made them.
   *
   * @param store as that runner has it, where it is not the directory in the project
   */
  async prepareBuilds(
    version: string,
    disk: PreparedDisk,
    store: Store = this.store,
  ): Promise<readonly BuildRecord[]> {
    const { declared, error } = await this.declare({ config: this.#config });
    if (error !== undefined) throw new Error(error);
    const images = declared.filter(({ type }) => type.endsWith(":FaiImage"));
    const builds: BuildRecord[] = [];
    for (const { inputs } of images) {
      const definition = inputs.definition as Definition;
      const raw = await storeDisk(store, disk);
      const build: BuildRecord = {
        key: inputs.key as ImageKey,
        version: version as ImageVersion,
        definition,
        builtAt: "2026-11-21T03:12:45.000Z",
        archive: inputs.archive as ArchiveState,
        raw,
        packages: [],
        phaseSeconds: {},
        tools: {},
      };
      await writeBuild(store, build);
      for (const firmware of definition.bootCheck.firmware) {
        await storeBootCheck(store, build.key, firmware, raw.sha256);
      }
      builds.push(build);
    }
    return builds;
  }

  /** Starts a command of the engine on the stack, which is made when there is none. */
  start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): RunningEngine {
    const running = execa(
      "pulumi",
      [...args, "--stack", stack, "--non-interactive"],
      {
        cwd: this.directory,
        all: true,
        reject: false,
        extendEnv: false,
        env: { ...this.#env, ...env },
      },
    );
    return {
      ended: running.then(({ exitCode = -1, all }) => ({
        ...{ exitCode, output: all },
      })),
      kill: () => running.kill("SIGKILL"),
    };
  }

  get #env(): Readonly<Record<string, string>> {
    return {
      ...engineEnvironment(this.directory, [this.path("bin")]),
      // As scripts/lib/stack.sh has it.
      PULUMI_CONTINUE_ON_ERROR: "true",
      // Whatever a preview would say before, the run itself says: half of the time of these tests.
      PULUMI_OPTION_SKIP_PREVIEW: "true",
    };
  }

  /** Runs a command of the engine on the stack to its end. */
  run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<EngineEnd> {
    return this.start(args, env).ended;
  }

  /** Runs a program of `scripts/lib/` to its end. */
  async runScript(
    name: string,
    args: readonly string[],
    {
      env = {},
      input = "",
    }: {
      readonly env?: Readonly<Record<string, string>>;
      readonly input?: string;
    } = {},
  ): Promise<EngineEnd> {
    const { exitCode = -1, all } = await execa(
      process.execPath,
      [this.path(`scripts/lib/${name}`), ...args],
      { all: true, reject: false, input, env },
    );
    return { exitCode, output: all };
  }

  /** Makes the stack. */
  async init(): Promise<void> {
    await writeFile(this.path("package-lock.json"), "{}");
    const { exitCode, output } = await this.run(["stack", "init"]);
    if (exitCode !== 0) throw new Error(output);
  }
}

function storeDisk(
  store: Store,
  { sizeBytes, pieces }: PreparedDisk,
): Promise<Artifact> {
  return store.withIncoming(async (directory) => {
    const path = join(directory, "disk");
    await using file = await open(path, "w");
    await file.truncate(sizeBytes);
    for (const { at, content } of pieces) {
      await file.write(content, 0, content.length, at);
    }
    await file.close();
    return store.adopt(path);
  });
}
