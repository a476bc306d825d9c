import {
  PipelineTrigger,
  ProjectAccessToken,
  ProjectJobTokenScopes,
  type Provider,
  UserRunner,
} from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";
import {
  type GitlabConfig,
  type GitlabRunnerConfig,
  imageProjectVariable,
  type NoteTokenConfig,
} from "./gitlabConfig.ts";
import {
  GitlabProject,
  type ProjectRole,
  type ProjectScope,
} from "./project.ts";
import type { ProjectConfig } from "./projectConfig.ts";
import { usualBranch } from "./schedules.ts";
import { declareVariable } from "./variables.ts";
import { declareHook } from "./webhooks.ts";

/** GitLab, and how it is reached. */
export interface GitlabArgs {
  readonly config: GitlabConfig;
  readonly provider: Provider;
}

/** The project that images are made in, the one that releases them, and runners for both. */
export class Gitlab extends pulumi.ComponentResource {
  readonly image: GitlabProject;
  readonly release: GitlabProject | undefined;
  /** What the machines of runners register with, by the names that the configuration has. Secrets. */
  readonly runnerTokens: ReadonlyMap<string, pulumi.Output<string>>;
  /** What GitLab calls the runners, by the same names. */
  readonly runnerIds: ReadonlyMap<string, pulumi.Output<string>>;

  constructor(
    name: string,
    { config, provider }: GitlabArgs,
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("cloud-images:gitlab:Gitlab", name, {}, options);
    const child = { parent: this, provider };
    const project = (role: ProjectRole, config: ProjectConfig) =>
      new GitlabProject(
        `${name}-${role}`,
        { role, config, group, provider },
        { parent: this },
      );
    const { group, noteToken, runners } = config;
    this.image = project("image", config.image);
    this.release =
      config.release === undefined
        ? undefined
        : project("release", config.release);
    this.#declareJobTokens(this.image.scope, config.image);
    if (this.release !== undefined) {
      this.#declareJobTokens(this.release.scope, config.release);
    }
    if (noteToken !== undefined) {
      const { image } = this;
      const token = declareNoteToken(image.scope, noteToken);
      const reader = this.#scopeOf(noteToken.in);
      declareNoteVariable(reader, noteToken, token);
      if (this.release !== undefined && noteToken.in === "release") {
        // For issues about drift, by schedules: merge requests do not get what is protected.
        declareNoteVariable(
          image.scope,
          { ...noteToken, protected: true },
          token,
        );
        declareNoteTrigger(image.scope, this.release.scope, config);
      }
    }
    const declared = Object.entries(runners).map(([title, runner]) => {
      const { id, token } = new UserRunner(
        `${name}-runner-${title}`,
        {
          ...runnerArgs(title, runner),
          ...(runner.project === undefined
            ? groupRunner(group)
            : {
                runnerType: "project_type",
                projectId: this.#idOf(runner.project),
              }),
        },
        child,
      );
      return { title, id, token: pulumi.secret(token) };
    });
    this.runnerTokens = new Map(
      declared.map(({ title, token }) => [title, token]),
    );
    this.runnerIds = new Map(declared.map(({ title, id }) => [title, id]));
    this.registerOutputs({});
  }

  /** Only what the configuration has let by: it names no release project where there is none. */
  #scopeOf(role: ProjectRole): ProjectScope {
    return ((role === "release" ? this.release : undefined) ?? this.image)
      .scope;
  }

  #idOf(role: ProjectRole): pulumi.Output<number> {
    return this.#scopeOf(role).project.apply(Number);
  }

  /** Each project may let in the other's jobs, so both have to be there first. */
  #declareJobTokens(
    { name, project, child }: ProjectScope,
    config: ProjectConfig | undefined,
  ): void {
    if (config?.jobTokens === undefined) return;
    const { projects, groups } = config.jobTokens;
    new ProjectJobTokenScopes(
      `${name}-job-tokens`,
      {
        project,
        enabled: true,
        targetProjectIds: projects.map((each) =>
          typeof each === "number" ? each : this.#idOf(each),
        ),
        targetGroupIds: groups,
      },
      child,
    );
  }
}

/** A token that writes notes in a project. It is made anew before it ends. */
function declareNoteToken(
  { name, project, child }: ProjectScope,
  config: NoteTokenConfig,
): pulumi.Output<string> {
  return new ProjectAccessToken(
    `${name}-note-token`,
    {
      project,
      name: "cloud-images-notes",
      description: "Notes on merge requests, issues about drift",
      // Notes need the whole API; a reporter can change nothing else by it.
      scopes: ["api"],
      accessLevel: "reporter",
      rotationConfiguration: {
        expirationDays: config.days,
        rotateBeforeDays: config.renewDays,
      },
    },
    child,
  ).token;
}

/** Gives it to the jobs of a project. */
function declareNoteVariable(
  reader: ProjectScope,
  config: NoteTokenConfig,
  token: pulumi.Output<string>,
): void {
  declareVariable(reader, {
    key: config.variable,
    value: token,
    environment: "*",
    protected: config.protected,
    masked: true,
    hidden: false,
    raw: true,
    file: false,
    description: "Writes notes; made anew by pulumi up",
  });
}

/**
 * Has each preview in the image project start a pipeline of the release project, which has the token: so it never meets a job that a
 * merge request can change (docs/decisions/0025-who-writes-notes.md).
 */
function declareNoteTrigger(
  image: ProjectScope,
  release: ProjectScope,
  { url, release: project }: Pick<GitlabConfig, "url" | "release">,
): void {
  const { token } = new PipelineTrigger(
    `${release.name}-note-trigger`,
    {
      project: release.project,
      description: "Notes on merge requests of the image project",
    },
    release.child,
  );
  const branch = release.ownBranch.apply(
    (own) => project?.settings.defaultBranch ?? own ?? usualBranch,
  );
  declareHook(image, "notes", {
    // GitLab takes the token of a trigger from the address alone.
    url: pulumi.interpolate`${url}/api/v4/projects/${release.project}/ref/${branch.apply(encodeURIComponent)}/trigger/pipeline?token=${token}`,
    // Events of pipelines may not start pipelines: a preview's job has an environment for this.
    events: ["deployment"],
  });
  declareVariable(release, {
    ...{ key: imageProjectVariable, value: image.project, environment: "*" },
    ...{ protected: false, masked: false, hidden: false },
    ...{ raw: true, file: false },
    description: "Whose merge requests get notes",
  });
}

function runnerArgs(title: string, runner: GitlabRunnerConfig) {
  return {
    description: runner.description ?? title,
    tagLists: runner.tags,
    // A job that names no tags says nothing of the machine that it needs.
    untagged: false,
    accessLevel: runner.protected ? "ref_protected" : "not_protected",
    maximumTimeout: runner.timeoutMinutes * 60,
    paused: runner.paused,
    locked: true,
  };
}

function groupRunner(group: number | undefined) {
  return {
    runnerType: "group_type",
    ...(group === undefined ? {} : { groupId: group }),
  };
}
