/**
 * The part of @pulumi/gitlab that this project uses, by the same names: the package itself is not on every registry. Where it is,
 * `"@pulumi/gitlab": "^10"` in package.json takes the place of this directory.
 */

export {
  ProjectAccessToken,
  type ProjectAccessTokenArgs,
  ProjectJobTokenScopes,
  type ProjectJobTokenScopesArgs,
} from "./access.ts";
export {
  ProjectApprovalRule,
  type ProjectApprovalRuleArgs,
  ProjectLevelMrApprovals,
  type ProjectLevelMrApprovalsArgs,
} from "./approvals.ts";
export {
  ProjectEnvironment,
  type ProjectEnvironmentArgs,
  ProjectProtectedEnvironment,
  type ProjectProtectedEnvironmentArgs,
} from "./environments.ts";
export {
  PipelineTrigger,
  type PipelineTriggerArgs,
  ProjectHook,
  type ProjectHookArgs,
} from "./hooks.ts";
export { Project, type ProjectArgs } from "./project.ts";
export {
  BranchProtection,
  type BranchProtectionArgs,
  TagProtection,
  type TagProtectionArgs,
} from "./protection.ts";
export { Provider, type ProviderArgs } from "./provider.ts";
export { UserRunner, type UserRunnerArgs } from "./runners.ts";
export {
  PipelineSchedule,
  type PipelineScheduleArgs,
  PipelineScheduleVariable,
  type PipelineScheduleVariableArgs,
} from "./schedules.ts";
export { ProjectVariable, type ProjectVariableArgs } from "./variables.ts";
