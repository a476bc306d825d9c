/** Protected branches and tags. */

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

const branchProtectionAllowedToMerge = object(
  "BranchProtectionAllowedToMerge",
  {},
  {
    accessLevel: text,
    accessLevelDescription: text,
    groupId: integer,
    userId: integer,
  },
);

const branchProtectionAllowedToPush = object(
  "BranchProtectionAllowedToPush",
  {},
  {
    accessLevel: text,
    accessLevelDescription: text,
    deployKeyId: integer,
    groupId: integer,
    userId: integer,
  },
);

const branchProtectionAllowedToUnprotect = object(
  "BranchProtectionAllowedToUnprotect",
  {},
  {
    accessLevel: text,
    accessLevelDescription: text,
    groupId: integer,
    userId: integer,
  },
);

export const branchProtectionShape = shape(
  "gitlab:index/branchProtection:BranchProtection",
  { branch: text, project: text },
  {
    allowForcePush: flag,
    allowedToMerges: list(branchProtectionAllowedToMerge),
    allowedToPushes: list(branchProtectionAllowedToPush),
    allowedToUnprotects: list(branchProtectionAllowedToUnprotect),
    codeOwnerApprovalRequired: flag,
    mergeAccessLevel: text,
    pushAccessLevel: text,
  },
  { branchProtectionId: integer },
);
export type BranchProtectionArgs = ArgsOf<typeof branchProtectionShape>;

/** Who may push and merge to a branch, or to all branches of a pattern. */
export class BranchProtection extends resourceClass(branchProtectionShape) {}

const tagProtectionAllowedToCreate = object(
  "TagProtectionAllowedToCreate",
  {},
  {
    accessLevel: text,
    accessLevelDescription: text,
    deployKeyId: integer,
    groupId: integer,
    userId: integer,
  },
);

export const tagProtectionShape = shape(
  "gitlab:index/tagProtection:TagProtection",
  { project: text, tag: text },
  {
    allowedToCreates: list(tagProtectionAllowedToCreate),
    createAccessLevel: text,
  },
);
export type TagProtectionArgs = ArgsOf<typeof tagProtectionShape>;

/** Who may make a tag, or all tags of a pattern. */
export class TagProtection extends resourceClass(tagProtectionShape) {}
