/** Tokens of projects and of projects' jobs. */

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

const projectAccessTokenRotationConfiguration = object(
  "ProjectAccessTokenRotationConfiguration",
  { expirationDays: integer, rotateBeforeDays: integer },
  {},
);

export const projectAccessTokenShape = shape(
  "gitlab:index/projectAccessToken:ProjectAccessToken",
  { project: text, scopes: list(text) },
  {
    accessLevel: text,
    description: text,
    expiresAt: text,
    name: text,
    rotationConfiguration: projectAccessTokenRotationConfiguration,
    validatePastExpirationDate: flag,
  },
  {
    active: flag,
    createdAt: text,
    revoked: flag,
    token: text,
    userId: integer,
  },
  ["token"],
);
export type ProjectAccessTokenArgs = ArgsOf<typeof projectAccessTokenShape>;

/** A token for a project, of a user that GitLab makes for it. */
export class ProjectAccessToken extends resourceClass(
  projectAccessTokenShape,
) {}

export const projectJobTokenScopesShape = shape(
  "gitlab:index/projectJobTokenScopes:ProjectJobTokenScopes",
  { project: text },
  {
    enabled: flag,
    targetGroupIds: list(integer),
    targetProjectIds: list(integer),
  },
);
export type ProjectJobTokenScopesArgs = ArgsOf<
  typeof projectJobTokenScopesShape
>;

/** Whose jobs reach a project with their own tokens. */
export class ProjectJobTokenScopes extends resourceClass(
  projectJobTokenScopesShape,
) {}
