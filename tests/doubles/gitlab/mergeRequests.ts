/** Approvals of merge requests, and webhooks. */

import { isEmpty } from "../values.ts";
import { gitlabKind, thingsOf } from "./kind.ts";
import { branchProtectionToken } from "./protections.ts";
import { RefusedByGitlab } from "./world.ts";

const approvalRuleToken =
  "gitlab:index/projectApprovalRule:ProjectApprovalRule";

export const approvalsKind = gitlabKind(
  "gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals",
  {
    path: "approvals",
    replacing: ["project"],
    isPremium: true,
    usual: { resetApprovalsOnPush: true },
    idOf: ({ project }) => String(project),
  },
);

export const approvalRuleKind = gitlabKind(approvalRuleToken, {
  path: "approval_rules",
  isPremium: true,
  usual: { ruleType: "regular", reportType: "" },
  idOf: ({ project }, number) => `${project}:${number}`,
  check({ ruleType, name }) {
    return ruleType !== "any_approver" && isEmpty(name)
      ? [{ property: "name", reason: "Missing required argument" }]
      : [];
  },
  refuse(world, { project, name, protectedBranchIds }, id) {
    const isTaken = Object.entries(thingsOf(world, approvalRuleToken)).some(
      ([other, rule]) =>
        other !== id && rule.project === project && rule.name === name,
    );
    if (isTaken) {
      throw new RefusedByGitlab(
        "approval_rules",
        400,
        "{name: [has already been taken]}",
      );
    }
    const branches = Object.values(thingsOf(world, branchProtectionToken))
      .filter((branch) => branch.project === project)
      .map(({ branchProtectionId }) => branchProtectionId);
    for (const branch of (protectedBranchIds as readonly number[]) ?? []) {
      if (branches.includes(branch)) continue;
      throw new RefusedByGitlab(
        "approval_rules",
        404,
        `404 Protected Branch Not Found: ${branch}`,
      );
    }
  },
});

export const hookKind = gitlabKind("gitlab:index/projectHook:ProjectHook", {
  path: "hooks",
  replacing: ["project", "url"],
  unread: ["customHeaders", "signingToken", "token", "urlVariables"],
  usual: { pushEvents: true, enableSslVerification: true },
  idOf: ({ project }, number) => `${project}:${number}`,
  outputsOf: ({ project }, number) => ({
    hookId: number,
    projectId: Number(project),
  }),
  refuse(_world, { url }) {
    if (/^https?:\/\/[^/\s]/.test(String(url))) return;
    throw new RefusedByGitlab("hooks", 422, "Invalid url given");
  },
});
