/** What is said of a project's own settings: all that matters of a new one, and of an adopted one what was named. Pure. */

import type { ProjectArgs } from "@pulumi/gitlab";
import type { ProjectConfig, ProjectSettings } from "./projectConfig.ts";

/** Every setting that @pulumi/gitlab has: a new one does not compile before it is here. */
const settingNames: Readonly<Record<keyof ProjectArgs, true>> = {
  allowMergeOnSkippedPipeline: true,
  allowPipelineTriggerApproveDeployment: true,
  analyticsAccessLevel: true,
  archiveOnDestroy: true,
  archived: true,
  autoCancelPendingPipelines: true,
  autoDevopsDeployStrategy: true,
  autoDevopsEnabled: true,
  autoDuoCodeReviewEnabled: true,
  autocloseReferencedIssues: true,
  avatar: true,
  avatarHash: true,
  branches: true,
  buildGitStrategy: true,
  buildTimeout: true,
  buildsAccessLevel: true,
  ciConfigPath: true,
  ciDefaultGitDepth: true,
  ciDeletePipelinesInSeconds: true,
  ciDisplayPipelineVariables: true,
  ciForwardDeploymentEnabled: true,
  ciForwardDeploymentRollbackAllowed: true,
  ciIdTokenSubClaimComponents: true,
  ciPipelineVariablesMinimumOverrideRole: true,
  ciPushRepositoryForJobTokenAllowed: true,
  ciRestrictPipelineCancellationRole: true,
  ciSeparatedCaches: true,
  containerExpirationPolicy: true,
  containerRegistryAccessLevel: true,
  defaultBranch: true,
  description: true,
  emailsEnabled: true,
  environmentsAccessLevel: true,
  externalAuthorizationClassificationLabel: true,
  featureFlagsAccessLevel: true,
  forkedFromProjectId: true,
  forkingAccessLevel: true,
  groupRunnersEnabled: true,
  groupWithProjectTemplatesId: true,
  importUrl: true,
  importUrlPassword: true,
  importUrlUsername: true,
  infrastructureAccessLevel: true,
  initializeWithReadme: true,
  issueBranchTemplate: true,
  issuesAccessLevel: true,
  issuesTemplate: true,
  keepLatestArtifact: true,
  lfsEnabled: true,
  maxArtifactsSize: true,
  mergeCommitTemplate: true,
  mergeMethod: true,
  mergePipelinesEnabled: true,
  mergeRequestTitleRegex: true,
  mergeRequestTitleRegexDescription: true,
  mergeRequestsAccessLevel: true,
  mergeRequestsTemplate: true,
  mergeTrainsEnabled: true,
  mergeTrainsSkipTrainAllowed: true,
  modelExperimentsAccessLevel: true,
  modelRegistryAccessLevel: true,
  monitorAccessLevel: true,
  mrDefaultTargetSelf: true,
  name: true,
  namespaceId: true,
  onlyAllowMergeIfAllDiscussionsAreResolved: true,
  onlyAllowMergeIfPipelineSucceeds: true,
  packageRegistryAccessLevel: true,
  packagesEnabled: true,
  pagesAccessLevel: true,
  path: true,
  permanentlyDeleteOnDestroy: true,
  preReceiveSecretDetectionEnabled: true,
  preventMergeWithoutJiraIssue: true,
  printingMergeRequestLinkEnabled: true,
  protectMergeRequestPipelines: true,
  publicBuilds: true,
  publicJobs: true,
  pushRules: true,
  releasesAccessLevel: true,
  removeSourceBranchAfterMerge: true,
  repositoryAccessLevel: true,
  repositoryStorage: true,
  requestAccessEnabled: true,
  requirementsAccessLevel: true,
  resolveOutdatedDiffDiscussions: true,
  resourceGroupDefaultProcessMode: true,
  securityAndComplianceAccessLevel: true,
  sharedRunnersEnabled: true,
  skipWaitForDefaultBranchProtection: true,
  snippetsAccessLevel: true,
  squashCommitTemplate: true,
  squashOption: true,
  suggestionCommitMessage: true,
  templateName: true,
  templateProjectId: true,
  topics: true,
  useCustomTemplate: true,
  visibilityLevel: true,
  wikiAccessLevel: true,
};
const allSettings = Object.keys(settingNames) as readonly (keyof ProjectArgs)[];

/** Nothing is public, nobody else's machines run jobs, and protected branches have caches of their own. */
const newSettings = {
  visibilityLevel: "private",
  sharedRunnersEnabled: false,
  ciSeparatedCaches: true,
  onlyAllowMergeIfPipelineSucceeds: true,
  // Schedules have variables, and so have pipelines of releases and notes; new groups of GitLab.com let nobody set any.
  ciPipelineVariablesMinimumOverrideRole: "maintainer",
} as const;

/** A project's arguments, and those in which it may be as it is. */
export interface DeclaredSettings {
  readonly args: ProjectArgs;
  readonly ignored: readonly (keyof ProjectArgs)[];
}

/** @param group of a project that is made */
export function declaredSettings(
  { path, settings }: Pick<ProjectConfig, "path" | "settings">,
  group: number | undefined,
): DeclaredSettings {
  const named = present(settings);
  if (path === undefined) {
    const ignored = allSettings.filter((name) => !(name in named));
    return { args: named, ignored };
  }
  const args: ProjectArgs = {
    ...newSettings,
    name: path,
    path,
    ...(group === undefined ? {} : { namespaceId: group }),
    // Where somebody lifts the protection to have it removed, it can still be read.
    archiveOnDestroy: true,
    // Nothing else would keep an older commit from being deployed after a newer one.
    ...(settings.ciForwardDeploymentEnabled === false
      ? { resourceGroupDefaultProcessMode: "oldest_first" }
      : {}),
    ...named,
  };
  return { args, ignored: [] };
}

/** Without what was left out. */
function present(settings: ProjectSettings): ProjectArgs {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  );
}
