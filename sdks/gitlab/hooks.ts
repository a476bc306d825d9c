/** Webhooks, and the tokens by which others start pipelines. */

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

const projectHookCustomHeader = object(
  "ProjectHookCustomHeader",
  { key: text, value: text },
  {},
);

const projectHookUrlVariable = object(
  "ProjectHookUrlVariable",
  { key: text, value: text },
  {},
);

export const projectHookShape = shape(
  "gitlab:index/projectHook:ProjectHook",
  { project: text, url: text },
  {
    branchFilterStrategy: text,
    confidentialIssuesEvents: flag,
    confidentialNoteEvents: flag,
    customHeaders: list(projectHookCustomHeader),
    customWebhookTemplate: text,
    deploymentEvents: flag,
    description: text,
    emojiEvents: flag,
    enableSslVerification: flag,
    featureFlagEvents: flag,
    issuesEvents: flag,
    jobEvents: flag,
    mergeRequestsEvents: flag,
    milestoneEvents: flag,
    name: text,
    noteEvents: flag,
    pipelineEvents: flag,
    pushEvents: flag,
    pushEventsBranchFilter: text,
    releasesEvents: flag,
    resourceAccessTokenEvents: flag,
    resourceDeployTokenEvents: flag,
    signingToken: text,
    tagPushEvents: flag,
    token: text,
    urlVariables: list(projectHookUrlVariable),
    vulnerabilityEvents: flag,
    wikiPageEvents: flag,
  },
  {
    alertStatus: text,
    disabledUntil: text,
    hookId: integer,
    projectId: integer,
    repositoryUpdateEvents: flag,
    signingTokenPresent: flag,
  },
  ["signingToken", "token"],
);
export type ProjectHookArgs = ArgsOf<typeof projectHookShape>;

/** An address that is called on a project's events. */
export class ProjectHook extends resourceClass(projectHookShape) {}

export const pipelineTriggerShape = shape(
  "gitlab:index/pipelineTrigger:PipelineTrigger",
  { description: text, project: text },
  {},
  { pipelineTriggerId: integer, token: text },
  ["token"],
);
export type PipelineTriggerArgs = ArgsOf<typeof pipelineTriggerShape>;

/** A token that starts pipelines of a project, and can do nothing else. */
export class PipelineTrigger extends resourceClass(pipelineTriggerShape) {}
