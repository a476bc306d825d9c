/** Environments, and who may deploy to them. */

import {
  ProjectEnvironment,
  ProjectProtectedEnvironment,
} from "@pulumi/gitlab";
import type { ProjectScope } from "./project.ts";
import type { EnvironmentConfig } from "./projectConfig.ts";
import { granted } from "./protection.ts";

/** Who deploys to an environment that only has approvers, as GitLab has it by itself. */
const usualDeployers = [{ level: "maintainer" }] as const;

export function declareEnvironments(
  { name, project, child }: ProjectScope,
  environments: Readonly<Record<string, EnvironmentConfig>>,
): void {
  for (const [title, config] of Object.entries(environments)) {
    const { tier, url, description, deploy, approve } = config;
    const own = `${name}-environment-${title}`;
    const environment = new ProjectEnvironment(
      own,
      {
        project,
        name: title,
        ...(tier === undefined ? {} : { tier }),
        ...(url === undefined ? {} : { externalUrl: url }),
        ...(description === undefined ? {} : { description }),
        // GitLab removes none that runs.
        stopBeforeDestroy: true,
      },
      child,
    );
    if (deploy === undefined && approve === undefined) continue;
    new ProjectProtectedEnvironment(
      `${own}-protection`,
      {
        project,
        environment: title,
        deployAccessLevelsAttributes: (deploy ?? usualDeployers).map(granted),
        approvalRules: (approve ?? []).map(({ approvals, ...who }) => ({
          ...granted(who),
          ...(approvals === undefined ? {} : { requiredApprovals: approvals }),
        })),
      },
      // GitLab has one protection for each environment.
      { ...child, dependsOn: [environment], deleteBeforeReplace: true },
    );
  }
}
