/** Environments. */

import {
  type ArgsOf,
  flag,
  integer,
  list,
  object,
  resourceClass,
  shape,
  text,
} from "./shape.ts";

export const projectEnvironmentShape = shape(
  "gitlab:index/projectEnvironment:ProjectEnvironment",
  { project: text },
  {
    autoStopSetting: text,
    clusterAgentId: integer,
    description: text,
    externalUrl: text,
    fluxResourcePath: text,
    kubernetesNamespace: text,
    name: text,
    stopBeforeDestroy: flag,
    tier: text,
  },
  {
    autoStopAt: text,
    createdAt: text,
    slug: text,
    state: text,
    updatedAt: text,
  },
);
export type ProjectEnvironmentArgs = ArgsOf<typeof projectEnvironmentShape>;

/** What a project's jobs deploy to. */
export class ProjectEnvironment extends resourceClass(
  projectEnvironmentShape,
) {}

const projectProtectedEnvironmentApprovalRule = object(
  "ProjectProtectedEnvironmentApprovalRule",
  {},
  {
    accessLevel: text,
    accessLevelDescription: text,
    groupId: integer,
    groupInheritanceType: integer,
    id: integer,
    requiredApprovals: integer,
    userId: integer,
  },
);

const projectProtectedEnvironmentDeployAccessLevelsAttribute = object(
  "ProjectProtectedEnvironmentDeployAccessLevelsAttribute",
  {},
  {
    accessLevel: text,
    accessLevelDescription: text,
    groupId: integer,
    groupInheritanceType: integer,
    id: integer,
    userId: integer,
  },
);

export const projectProtectedEnvironmentShape = shape(
  "gitlab:index/projectProtectedEnvironment:ProjectProtectedEnvironment",
  { environment: text, project: text },
  {
    approvalRules: list(projectProtectedEnvironmentApprovalRule),
    deployAccessLevelsAttributes: list(
      projectProtectedEnvironmentDeployAccessLevelsAttribute,
    ),
  },
);
export type ProjectProtectedEnvironmentArgs = ArgsOf<
  typeof projectProtectedEnvironmentShape
>;

/** Who may deploy to an environment, and who has to approve of it. */
export class ProjectProtectedEnvironment extends resourceClass(
  projectProtectedEnvironmentShape,
) {}
