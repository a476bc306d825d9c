/** gitlab.Project. */

import type { Properties } from "../values.ts";
import { gitlabKind, madeUpToken, projectToken, thingsOf } from "./kind.ts";
import { branchProtectionToken } from "./protections.ts";
import { RefusedByGitlab, type World } from "./world.ts";

function fullPath(
  world: World,
  { path, name, namespaceId }: Properties,
): string {
  const namespace = world.groups[String(namespaceId)] ?? "somebody";
  return `${namespace}/${path ?? String(name).toLowerCase()}`;
}

/** Everything that belongs to a project goes with it. */
function removeProject(world: World, id: string): void {
  for (const things of Object.values(world.things)) {
    for (const [key, thing] of Object.entries(things)) {
      if (String(thing.project ?? "") === id) delete things[key];
    }
  }
  delete thingsOf(world, projectToken)[id];
}

export const projectKind = gitlabKind(projectToken, {
  path: "projects",
  usual: {
    visibilityLevel: "private",
    mergeMethod: "merge",
    squashOption: "default_off",
    sharedRunnersEnabled: true,
    groupRunnersEnabled: true,
    lfsEnabled: true,
    publicJobs: true,
    removeSourceBranchAfterMerge: true,
    autoCancelPendingPipelines: "enabled",
    buildTimeout: 3600,
    defaultBranch: "main",
    // As new groups of GitLab.com have it.
    ciPipelineVariablesMinimumOverrideRole: "no_one_allowed",
    forkingAccessLevel: "enabled",
    emptyRepo: true,
  },
  idOf: (_inputs, number) => String(number),

  outputsOf(inputs, number, world) {
    const path = fullPath(world, inputs);
    if (inputs.initializeWithReadme === true) {
      // As GitLab does by itself, behind everybody's back.
      thingsOf(world, branchProtectionToken)[`${number}:main`] = {
        ...{ project: String(number), branch: "main" },
        ...{ pushAccessLevel: "maintainer", mergeAccessLevel: "maintainer" },
        _isAutomatic: true,
      };
    }
    return {
      pathWithNamespace: path,
      webUrl: `https://gitlab.example/${path}`,
      httpUrlToRepo: `https://gitlab.example/${path}.git`,
      sshUrlToRepo: `git@gitlab.example:${path}.git`,
      runnersToken: madeUpToken("GR1348941"),
    };
  },

  refuse(world, inputs, id) {
    const path = fullPath(world, inputs);
    const others = Object.entries(thingsOf(world, projectToken));
    const isTaken = others.some(
      ([other, { pathWithNamespace }]) =>
        other !== id && pathWithNamespace === path,
    );
    if (isTaken) {
      throw new RefusedByGitlab(
        "projects",
        400,
        "{path: [has already been taken]}, {name: [has already been taken]}",
      );
    }
  },

  remove(world, id, { archiveOnDestroy }) {
    const project = thingsOf(world, projectToken)[id];
    if (archiveOnDestroy === true && project !== undefined) {
      thingsOf(world, projectToken)[id] = { ...project, archived: true };
    } else {
      removeProject(world, id);
    }
  },
});
