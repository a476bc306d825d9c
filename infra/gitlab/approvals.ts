/** Who approves of merge requests. */

import { ProjectApprovalRule, ProjectLevelMrApprovals } from "@pulumi/gitlab";
import type { ProjectScope } from "./project.ts";
import type { ProjectConfig } from "./projectConfig.ts";
import type { ProtectedBranches } from "./protection.ts";

export function declareApprovals(
  { name, project, child }: ProjectScope,
  {
    approvals,
    approvalRules,
  }: Pick<ProjectConfig, "approvals" | "approvalRules">,
  protectedBranches: ProtectedBranches,
): void {
  if (approvals !== undefined) {
    new ProjectLevelMrApprovals(
      `${name}-approvals`,
      {
        project,
        mergeRequestsAuthorApproval: approvals.authorsApprove,
        mergeRequestsDisableCommittersApproval: !approvals.committersApprove,
        resetApprovalsOnPush: approvals.resetOnPush,
        disableOverridingApproversPerMergeRequest: !approvals.overridable,
      },
      child,
    );
  }
  for (const [title, rule] of Object.entries(approvalRules)) {
    const branches = rule.branches.flatMap(
      (branch) => protectedBranches.get(branch)?.branchProtectionId ?? [],
    );
    new ProjectApprovalRule(
      `${name}-approval-${title}`,
      {
        project,
        name: title,
        approvalsRequired: rule.approvals,
        ...(rule.users.length === 0 ? {} : { userIds: rule.users }),
        ...(rule.groups.length === 0 ? {} : { groupIds: rule.groups }),
        ...(branches.length === 0 ? {} : { protectedBranchIds: branches }),
      },
      child,
    );
  }
}
