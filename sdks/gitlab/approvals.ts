/** Approvals of merge requests. */

import {
  type ArgsOf,
  flag,
  integer,
  list,
  resourceClass,
  shape,
  text,
} from "./shape.ts";

export const projectLevelMrApprovalsShape = shape(
  "gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals",
  { project: text },
  {
    disableOverridingApproversPerMergeRequest: flag,
    mergeRequestsAuthorApproval: flag,
    mergeRequestsDisableCommittersApproval: flag,
    requirePasswordToApprove: flag,
    requireReauthenticationToApprove: flag,
    resetApprovalsOnPush: flag,
    selectiveCodeOwnerRemovals: flag,
  },
);
export type ProjectLevelMrApprovalsArgs = ArgsOf<
  typeof projectLevelMrApprovalsShape
>;

/** How approvals of a project's merge requests work. */
export class ProjectLevelMrApprovals extends resourceClass(
  projectLevelMrApprovalsShape,
) {}

export const projectApprovalRuleShape = shape(
  "gitlab:index/projectApprovalRule:ProjectApprovalRule",
  { approvalsRequired: integer, project: text },
  {
    appliesToAllProtectedBranches: flag,
    disableImportingDefaultAnyApproverRuleOnCreate: flag,
    groupIds: list(integer),
    name: text,
    protectedBranchIds: list(integer),
    reportType: text,
    ruleType: text,
    userIds: list(integer),
  },
);
export type ProjectApprovalRuleArgs = ArgsOf<typeof projectApprovalRuleShape>;

/** Who has to approve of merge requests. */
export class ProjectApprovalRule extends resourceClass(
  projectApprovalRuleShape,
) {}
