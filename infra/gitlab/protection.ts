/** Protected branches and tags. */

import { BranchProtection, TagProtection } from "@pulumi/gitlab";
import type { ProjectScope } from "./project.ts";
import type { BranchConfig, TagConfig, Who } from "./projectConfig.ts";

/** Protected branches by the names that the configuration has. */
export type ProtectedBranches = ReadonlyMap<string, BranchProtection>;

/** Somebody, as arguments of @pulumi/gitlab name them. Pure. */
export function granted({ level, user, group }: Who) {
  return {
    ...(level === undefined ? {} : { accessLevel: level }),
    ...(user === undefined ? {} : { userId: user }),
    ...(group === undefined ? {} : { groupId: group }),
  };
}

export function declareBranches(
  { name, project, child }: ProjectScope,
  branches: Readonly<Record<string, BranchConfig>>,
): ProtectedBranches {
  return new Map(
    Object.entries(branches).map(([branch, config]) => [
      branch,
      new BranchProtection(
        `${name}-branch-${branch}`,
        {
          project,
          branch,
          pushAccessLevel: config.push,
          mergeAccessLevel: config.merge,
          allowForcePush: config.forcePush,
          codeOwnerApprovalRequired: config.codeOwnersApprove,
          allowedToPushes: config.alsoPush.map(granted),
          allowedToMerges: config.alsoMerge.map(granted),
        },
        // GitLab has one protection for each name.
        { ...child, deleteBeforeReplace: true },
      ),
    ]),
  );
}

export function declareTags(
  { name, project, child }: ProjectScope,
  tags: Readonly<Record<string, TagConfig>>,
): void {
  for (const [tag, { create, alsoCreate }] of Object.entries(tags)) {
    new TagProtection(
      `${name}-tag-${tag}`,
      {
        ...{ project, tag },
        createAccessLevel: create,
        allowedToCreates: alsoCreate.map(granted),
      },
      { ...child, deleteBeforeReplace: true },
    );
  }
}
