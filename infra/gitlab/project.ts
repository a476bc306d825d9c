import { Project, type Provider } from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";
import { declareApprovals } from "./approvals.ts";
import { declareEnvironments } from "./environments.ts";
import type { ProjectConfig } from "./projectConfig.ts";
import { declaredSettings } from "./projectSettings.ts";
import { declareBranches, declareTags } from "./protection.ts";
import { declareSchedules } from "./schedules.ts";
import { declareVariable } from "./variables.ts";
import { declareWebhooks } from "./webhooks.ts";

/** What a project is for, and the field that describes it. */
export type ProjectRole = "image" | "release";

/** A project, and how it is reached. */
export interface GitlabProjectArgs {
  readonly role: ProjectRole;
  readonly config: ProjectConfig;
  /** Id of the group that a new project is made in. */
  readonly group: number | undefined;
  readonly provider: Provider;
}

/** Where something of a project is declared. */
export interface ProjectScope {
  /** Beginning of the names of resources. */
  readonly name: string;
  readonly role: ProjectRole;
  /** The project's id. */
  readonly project: pulumi.Output<string>;
  /** Of a project that was there before, unless the configuration says another one. */
  readonly ownBranch: pulumi.Output<string | undefined>;
  /** Who may set variables of pipelines in a project that was there before, unless the configuration says so. */
  readonly ownVariablesRole: pulumi.Output<string | undefined>;
  readonly child: pulumi.CustomResourceOptions;
}

/**
 * A project of GitLab with everything that belongs to it. One that was made here cannot be destroyed before its protection is
 * lifted; one that was adopted stays, with the settings that nobody named as they are.
 */
export class GitlabProject extends pulumi.ComponentResource {
  readonly scope: ProjectScope;
  readonly url: pulumi.Output<string>;

  constructor(
    name: string,
    { role, config, group, provider }: GitlabProjectArgs,
    options: pulumi.ComponentResourceOptions,
  ) {
    super("cloud-images:gitlab:Project", name, {}, options);
    const child = { parent: this, provider };
    const { args, ignored } = declaredSettings(config, group);
    // An adopted one is another than one that is made: what belongs to the one is never done to the other.
    const own = config.adopt === undefined ? name : `${name}-${config.adopt}`;
    const project = new Project(own, args, {
      ...child,
      ...(config.adopt === undefined
        ? { protect: true }
        : {
            import: String(config.adopt),
            ignoreChanges: [...ignored],
            retainOnDelete: true,
          }),
    });
    const { settings } = config;
    const isOwnRole =
      config.adopt !== undefined &&
      settings.ciPipelineVariablesMinimumOverrideRole === undefined;
    this.scope = {
      ...{ name, role, project: project.id, child },
      ownBranch: pulumi.output(
        config.adopt === undefined ? undefined : project.defaultBranch,
      ),
      ownVariablesRole: pulumi.output(
        isOwnRole ? project.ciPipelineVariablesMinimumOverrideRole : undefined,
      ),
    };
    this.url = project.webUrl;
    const branches = declareBranches(this.scope, config.protectedBranches);
    declareTags(this.scope, config.protectedTags);
    declareEnvironments(this.scope, config.environments);
    for (const variable of config.variables) {
      declareVariable(this.scope, variable);
    }
    declareSchedules(this.scope, config);
    declareApprovals(this.scope, config, branches);
    declareWebhooks(this.scope, config.webhooks);
    this.registerOutputs({ id: project.id, url: this.url });
  }
}
