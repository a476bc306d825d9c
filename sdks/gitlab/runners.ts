/** Runners. */

import {
  type ArgsOf,
  flag,
  integer,
  list,
  resourceClass,
  shape,
  text,
} from "./shape.ts";

export const userRunnerShape = shape(
  "gitlab:index/userRunner:UserRunner",
  { runnerType: text },
  {
    accessLevel: text,
    description: text,
    groupId: integer,
    locked: flag,
    maintenanceNote: text,
    maximumTimeout: integer,
    paused: flag,
    projectId: integer,
    tagLists: list(text),
    untagged: flag,
  },
  { token: text },
  ["token"],
);
export type UserRunnerArgs = ArgsOf<typeof userRunnerShape>;

/** A runner as GitLab knows it; `token` is what its machine registers with. */
export class UserRunner extends resourceClass(userRunnerShape) {}
