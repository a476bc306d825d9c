/**
 * A repository with the real pipeline file, two small images and an archive of the test's, whose jobs gitlab-ci-local runs by
 * the shell, each in a directory of its own with what git has and what other jobs left as artifacts.
 */

import {
  cp,
  mkdtemp,
  readdir,
  readFile,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { projectDirectory, projectPath } from "../../infra/projectPaths.ts";
import { EngineProject } from "../engineProject.ts";
import { lastingProcesses, processesOf } from "../stack/checkout.ts";

/** How a run of gitlab-ci-local ended. */
export interface PipelineEnd {
  readonly exitCode: number;
  /** Everything that was printed, in its order. */
  readonly output: string;
}

/** Variables of a pipeline, as GitLab or the project's settings give them. */
export type Variables = Readonly<Record<string, string>>;

/** A job of a pipeline file, as far as it is looked at. */
export interface Job {
  readonly before_script?: readonly string[];
  readonly script?: readonly string[];
  readonly rules?: readonly {
    readonly if?: string;
    readonly when?: string;
    readonly allow_failure?: boolean;
  }[];
  readonly tags?: readonly string[];
  readonly interruptible?: boolean;
  readonly resource_group?: string;
  readonly environment?: { readonly name: string };
  readonly id_tokens?: Readonly<Record<string, unknown>>;
  readonly trigger?: {
    readonly strategy?: string;
    readonly project?: string;
    readonly include?: readonly unknown[];
    readonly forward?: Readonly<Record<string, boolean>>;
  };
  readonly variables?: Readonly<Record<string, string>>;
  readonly inherit?: Readonly<Record<string, boolean>>;
  readonly artifacts?: Readonly<Record<string, unknown>>;
  readonly retry?: unknown;
  readonly needs?: readonly unknown[];
  readonly stage?: string;
}

/** Where pipelines come from. */
export const sources = {
  mergeRequest: { CI_PIPELINE_SOURCE: "merge_request_event" },
  push: { CI_PIPELINE_SOURCE: "push", CI_COMMIT_REF_PROTECTED: "true" },
  schedule: { CI_PIPELINE_SOURCE: "schedule", CI_COMMIT_REF_PROTECTED: "true" },
} as const;

const gitlabCiLocal = projectPath("node_modules/.bin/gitlab-ci-local");

/** What gitlab-ci-local has of its own, but these come from a test. */
const ignored =
  "CI_PIPELINE_SOURCE,CI_COMMIT_REF_PROTECTED,CI_API_V4_URL,CI_COMMIT_BEFORE_SHA";

/** Nobody is there. */
const originUrl = "https://git.example/images.git";
const parentPipeline = { CI_PIPELINE_SOURCE: "parent_pipeline" } as const;
const childFile = ["--file", "own.child.yml"];

export class PipelineProject extends EngineProject {
  /** @param prepare changes what the first commit has */
  static async make(
    prepare: (project: PipelineProject) => Promise<void> = async () => {},
  ): Promise<PipelineProject> {
    const project = new PipelineProject(
      await mkdtemp(join(tmpdir(), "pipeline-project-")),
    );
    await project.fill();
    await prepare(project);
    await project.#begin();
    return project;
  }

  override async fill(): Promise<void> {
    await super.fill();
    for (const name of [
      ".gitlab-ci.yml",
      "release.gitlab-ci.yml",
      "package-lock.json",
    ]) {
      await cp(join(projectDirectory, name), this.path(name));
    }
    await symlink(projectPath(".tools"), this.path(".tools"));
    // A directory of the test's own is no part of what jobs see.
    await writeFile(
      this.path(".gitignore"),
      "/.gitlab-ci-local/\n/origin.git/\n/.state/\n/.cache/\n/backend/\n/home/\n/store/\n/public/\n*.child.yml\n",
    );
    await this.configure({
      definitions: ["debian-13-*-amd64"],
      store: { directory: this.path("store") },
      directory: { path: this.path("public"), formats: ["qcow2"] },
    });
  }

  /** Makes the first commit. */
  async #begin(): Promise<void> {
    await this.setVariables({});
    await this.git("init", "--quiet", "--initial-branch=main");
    await this.git("init", "--quiet", "--bare", this.#origin);
    await this.commit("Begin");
    await this.git("remote", "add", "origin", originUrl);
    await this.git("update-ref", "refs/remotes/origin/main", "HEAD");
    await this.git(
      ...["symbolic-ref", "refs/remotes/origin/HEAD"],
      "refs/remotes/origin/main",
    );
  }

  /** The project's CI/CD variables: child pipelines have them, too. */
  setVariables(variables: Variables): Promise<void> {
    const all = {
      CLOUD_IMAGES_STACK: "mine",
      // Runners with the shell executor take no notice of it.
      CLOUD_IMAGES_JOB_IMAGE: "jobs:1",
      PULUMI_BACKEND_URL: pathToFileURL(this.path("backend")).href,
      // Where jobs find what was pushed; gitlab-ci-local itself wants the name of a server.
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: `url.${pathToFileURL(this.#origin).href}.insteadOf`,
      GIT_CONFIG_VALUE_0: originUrl,
      ...variables,
    };
    return writeFile(
      this.path(".gitlab-ci-local-variables.yml"),
      stringify(all),
    );
  }

  get #origin(): string {
    return this.path("origin.git");
  }

  /** @returns what git printed */
  async git(...args: string[]): Promise<string> {
    const { stdout } = await execa(
      "git",
      [
        ...["-c", "user.name=Test", "-c", "user.email=test@example.org"],
        ...args,
      ],
      { cwd: this.directory },
    );
    return stdout.trim();
  }

  /**
   * Commits everything, and pushes it.
   *
   * @returns the new commit
   */
  async commit(message: string): Promise<string> {
    await this.git("add", "--all");
    await this.git("commit", "--quiet", "--message", message);
    await this.push();
    return this.git("rev-parse", "HEAD");
  }

  /** Pushes the current branch. */
  async push(): Promise<void> {
    await this.git("push", "--quiet", this.#origin, "HEAD");
  }

  /** Runs gitlab-ci-local to its end. */
  async pipeline(
    variables: Variables,
    ...args: string[]
  ): Promise<PipelineEnd> {
    const { exitCode = -1, all } = await this.#start(variables, args);
    return { exitCode, output: all };
  }

  #start(variables: Variables, args: readonly string[]) {
    const given = Object.entries(variables).flatMap(([name, value]) => [
      "--variable",
      `${name}=${value}`,
    ]);
    const isOfBranch = variables.CI_PIPELINE_SOURCE !== "merge_request_event";
    return execa(
      gitlabCiLocal,
      [
        ...["--force-shell-executor", "--shell-isolation"],
        "--no-artifacts-to-source",
        ...["--no-color", "--ignore-predefined-vars", ignored],
        ...(isOfBranch ? [] : ["--unset-variable", "CI_COMMIT_BRANCH"]),
        ...given,
        ...args,
      ],
      {
        cwd: this.directory,
        all: true,
        reject: false,
        env: {
          HOME: this.path("home"),
          PATH: `${this.path("bin")}:${process.env.PATH}`,
          PULUMI_CONFIG_PASSPHRASE: "",
          // As a variable of the project it would be taken for a file.
          PULUMI_HOME: this.path("home"),
        },
      },
    );
  }

  /** Names of the jobs that a pipeline would have. */
  async jobs(variables: Variables, file = ".gitlab-ci.yml") {
    const { exitCode, output } = await this.pipeline(
      variables,
      ...["--file", file, "--list-json"],
    );
    if (exitCode !== 0) throw new Error(output);
    const jobs = JSON.parse(output.slice(output.search(/^\[/m))) as {
      readonly name: string;
      readonly when: string;
    }[];
    return jobs.filter(({ when }) => when !== "never");
  }

  /** The text of the only artifact that jobs left whose path ends so. */
  async artifact(name: string): Promise<string> {
    const directory = this.path(".gitlab-ci-local/artifacts");
    const all = await readdir(directory, { recursive: true });
    const [path, ...more] = all.filter((each) =>
      `/${each}`.endsWith(`/${name}`),
    );
    if (path === undefined || more.length > 0) {
      throw new Error(`Not one ${name}: ${[path, ...more].join(", ")}`);
    }
    return readFile(join(directory, path), "utf8");
  }

  /** The merged YAML of a pipeline file, as far as a pipeline of those variables has it. */
  async merged(file: string): Promise<Readonly<Record<string, Job>>> {
    const { exitCode, output } = await this.pipeline(
      {},
      ...["--file", file, "--preview"],
    );
    if (exitCode !== 0) throw new Error(output);
    return parse(output.slice(output.search(/^---$/m))) as Record<string, Job>;
  }

  /**
   * Runs a child pipeline as one of its own: gitlab-ci-local takes a failure in a child for success of the job that started it.
   */
  async child(text: string, ...jobs: string[]): Promise<PipelineEnd> {
    await writeFile(this.path("own.child.yml"), text);
    return this.pipeline(parentPipeline, ...childFile, ...jobs);
  }

  /** Runs a child pipeline on a machine that dies when it has printed that. */
  async dyingChild(text: string, pattern: RegExp): Promise<void> {
    await writeFile(this.path("own.child.yml"), text);
    const child = this.#start(parentPipeline, childFile);
    let output = "";
    await new Promise<void>((resolve, reject) => {
      child.all.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        if (pattern.test(output)) resolve();
      });
      child.all.on("end", () => reject(new Error(`No ${pattern}:\n${output}`)));
    });
    for (const id of await processesOf(this.directory)) {
      process.kill(id, "SIGKILL");
    }
    await child;
    const lasting = await lastingProcesses(this.directory, 10);
    if (lasting.length > 0) throw new Error(`Still there: ${lasting}`);
  }
}
