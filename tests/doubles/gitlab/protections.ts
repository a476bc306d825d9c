/** Protected branches, tags and environments, and environments themselves. */

import {
  isEmpty,
  isList,
  isObject,
  type Properties,
  type Value,
} from "../values.ts";
import { gitlabKind, projectOf, thingsOf } from "./kind.ts";
import { RefusedByGitlab, type World } from "./world.ts";

export const branchProtectionToken =
  "gitlab:index/branchProtection:BranchProtection";
export const environmentToken =
  "gitlab:index/projectEnvironment:ProjectEnvironment";

function requirePremium(
  world: World,
  path: string,
  ...values: unknown[]
): void {
  if (world.tier === "premium") return;
  if (values.every((value) => isEmpty(value as Value))) return;
  throw new RefusedByGitlab(
    path,
    422,
    "feature unavailable: Premium is needed",
  );
}

/** Elements that name nobody, or more than one. */
function notOne(property: string, value: Value | undefined) {
  return (isList(value) ? value : []).flatMap((each, index) => {
    const who = isObject(each)
      ? [each.accessLevel, each.userId, each.groupId, each.deployKeyId]
      : [];
    const given = who.filter((one) => one !== undefined && one !== null);
    return given.length === 1
      ? []
      : [
          {
            property: `${property}[${index}]`,
            reason: "one of accessLevel, userId, groupId must be specified",
          },
        ];
  });
}

export const branchProtectionKind = gitlabKind(branchProtectionToken, {
  path: "protected_branches",
  replacing: ["branch", "project"],
  usual: { pushAccessLevel: "maintainer", mergeAccessLevel: "maintainer" },
  idOf: ({ project, branch }) => `${project}:${branch}`,
  outputsOf: (_inputs, number) => ({ branchProtectionId: number }),
  takesOver: ({ _isAutomatic }) => _isAutomatic === true,
  check: (inputs) =>
    ["allowedToPushes", "allowedToMerges"].flatMap((name) =>
      notOne(name, inputs[name]),
    ),
  refuse(world, inputs) {
    const { allowedToPushes, allowedToMerges, codeOwnerApprovalRequired } =
      inputs;
    requirePremium(
      ...([world, "protected_branches"] as const),
      ...[allowedToPushes, allowedToMerges, codeOwnerApprovalRequired],
    );
  },
});

export const tagProtectionKind = gitlabKind(
  "gitlab:index/tagProtection:TagProtection",
  {
    path: "protected_tags",
    replacing: ["tag", "project", "createAccessLevel", "allowedToCreates"],
    usual: { createAccessLevel: "maintainer" },
    idOf: ({ project, tag }) => `${project}:${tag}`,
    takesOver: () => true,
    check: ({ allowedToCreates }) =>
      notOne("allowedToCreates", allowedToCreates),
    refuse: (world, { allowedToCreates }) =>
      requirePremium(world, "protected_tags", allowedToCreates),
  },
);

export const environmentKind = gitlabKind(environmentToken, {
  path: "environments",
  replacing: ["name", "project"],
  usual: { tier: "other" },
  idOf: ({ project }, number) => `${project}:${number}`,
  outputsOf: ({ name }) => ({ slug: String(name), state: "available" }),
  refuse(world, inputs, id) {
    for (const [other, { project, name }] of Object.entries(
      thingsOf(world, environmentToken),
    )) {
      if (other === id || project !== inputs.project || name !== inputs.name) {
        continue;
      }
      throw new RefusedByGitlab(
        "environments",
        400,
        "{name: [has already been taken]}",
      );
    }
  },
  remove(world, id, { stopBeforeDestroy }) {
    const things = thingsOf(world, environmentToken);
    if (things[id]?.state === "available" && stopBeforeDestroy !== true) {
      throw new RefusedByGitlab(
        `environments/${id}`,
        403,
        "403 Forbidden - Environment must be stopped",
      );
    }
    delete things[id];
  },
});

export const protectedEnvironmentKind = gitlabKind(
  "gitlab:index/projectProtectedEnvironment:ProjectProtectedEnvironment",
  {
    path: "protected_environments",
    replacing: ["environment", "project"],
    isPremium: true,
    idOf: ({ project, environment }) => `${project}:${environment}`,
    check: (inputs) =>
      ["approvalRules", "deployAccessLevelsAttributes"].flatMap((name) =>
        notOne(name, inputs[name]),
      ),
    refuse(world, { project, environment }) {
      const id = projectOf(world, project);
      const isThere = Object.values(thingsOf(world, environmentToken)).some(
        (each: Properties) => each.project === id && each.name === environment,
      );
      if (!isThere) {
        throw new RefusedByGitlab(
          "protected_environments",
          404,
          "404 Environment Not Found",
        );
      }
    },
  },
);
