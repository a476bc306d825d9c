/**
 * Stands for the provider plugin of @pulumi/gitlab: the resource types that this project declares, in a GitLab that is a file.
 *
 * It takes what the schema and the sources of GitLab let by, and refuses the rest in their words.
 */

import packageJson from "../../../sdks/gitlab/package.json" with {
  type: "json",
};
import { serve } from "../pluginServer.ts";
import { factShapes, facts, shapeOf } from "./facts.ts";
import {
  accessTokenKind,
  jobTokenScopesKind,
  runnerKind,
  scheduleKind,
  scheduleVariableKind,
  triggerKind,
  variableKind,
} from "./jobs.ts";
import { projectToken } from "./kind.ts";
import { approvalRuleKind, approvalsKind, hookKind } from "./mergeRequests.ts";
import { projectKind } from "./projects.ts";
import {
  branchProtectionKind,
  environmentKind,
  protectedEnvironmentKind,
  tagProtectionKind,
} from "./protections.ts";
import { GitlabCloud } from "./world.ts";

const kinds = {
  [projectToken]: projectKind,
  "gitlab:index/branchProtection:BranchProtection": branchProtectionKind,
  "gitlab:index/pipelineSchedule:PipelineSchedule": scheduleKind,
  "gitlab:index/pipelineScheduleVariable:PipelineScheduleVariable":
    scheduleVariableKind,
  "gitlab:index/pipelineTrigger:PipelineTrigger": triggerKind,
  "gitlab:index/projectAccessToken:ProjectAccessToken": accessTokenKind,
  "gitlab:index/projectApprovalRule:ProjectApprovalRule": approvalRuleKind,
  "gitlab:index/projectEnvironment:ProjectEnvironment": environmentKind,
  "gitlab:index/projectHook:ProjectHook": hookKind,
  "gitlab:index/projectJobTokenScopes:ProjectJobTokenScopes":
    jobTokenScopesKind,
  "gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals": approvalsKind,
  "gitlab:index/projectProtectedEnvironment:ProjectProtectedEnvironment":
    protectedEnvironmentKind,
  "gitlab:index/projectVariable:ProjectVariable": variableKind,
  "gitlab:index/tagProtection:TagProtection": tagProtectionKind,
  "gitlab:index/userRunner:UserRunner": runnerKind,
};

await serve({
  version: packageJson.version,
  shapes: factShapes,
  configShape: shapeOf(facts.provider),
  connect: (config) => new GitlabCloud(config),
  defaults: () => ({}),
  kinds: new Map(Object.entries(kinds)),
});
