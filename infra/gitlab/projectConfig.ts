/** A project of GitLab in a stack's configuration. Names and values of its settings are those of GitLab's API. */

import { z } from "zod";
import { scheduleProblem } from "./schedule.ts";
import { variableKeySchema, variablesSchema } from "./variableConfig.ts";

/** Ids of users, groups and projects, as their pages show them. */
export const idSchema = z.int().positive();

/** Names of ours, from which those of resources are made. */
export const ownNameSchema = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]*$/,
    "must begin with a letter, and be lower-case letters, digits and hyphens",
  );

const levels = ["developer", "maintainer", "admin"] as const;
const levelSchema = z.enum(["no one", ...levels]);

/** Somebody: exactly one of the three. */
const whoFields = {
  level: z.enum(["developer", "maintainer"]).optional(),
  user: idSchema.optional(),
  group: idSchema.optional(),
} as const;
const isOne = (who: { level?: unknown; user?: unknown; group?: unknown }) =>
  [who.level, who.user, who.group].filter((each) => each !== undefined)
    .length === 1;
const oneOnly = "must have one of level, user and group, and no other";
const whoSchema = z.strictObject(whoFields).refine(isOne, oneOnly);
export type Who = z.output<typeof whoSchema>;

const refSchema = z
  .string()
  .regex(
    /^(?![/-])(?!.*(\.\.|\/\/))[^\s~^:?[\\]+(?<![/.])$/,
    "must be the name of a branch or tag, in which * stands for any characters",
  );

const settingsSchema = z
  .strictObject({
    name: z.string().min(1),
    description: z.string().max(2000),
    visibilityLevel: z.enum(["private", "internal", "public"]),
    defaultBranch: refSchema,
    mergeMethod: z.enum(["merge", "rebase_merge", "ff"]),
    squashOption: z.enum(["never", "always", "default_on", "default_off"]),
    onlyAllowMergeIfPipelineSucceeds: z.boolean(),
    onlyAllowMergeIfAllDiscussionsAreResolved: z.boolean(),
    removeSourceBranchAfterMerge: z.boolean(),
    ciConfigPath: z.string().min(1),
    buildTimeout: z
      .int()
      .min(600)
      .describe("Seconds; jobs without a timeout of their own end then"),
    autoCancelPendingPipelines: z.enum(["enabled", "disabled"]),
    ciSeparatedCaches: z
      .boolean()
      .describe("Whether protected branches have caches of their own"),
    ciForwardDeploymentEnabled: z
      .boolean()
      .describe(
        "Whether a deployment is dropped when one of a later pipeline has come to a good end",
      ),
    resourceGroupDefaultProcessMode: z
      .enum(["unordered", "oldest_first", "newest_first", "newest_ready_first"])
      .describe(
        "Which of the jobs that wait for each other comes next, in resource groups that are new",
      ),
    ciPipelineVariablesMinimumOverrideRole: z
      .enum(["developer", "maintainer", "owner", "no_one_allowed"])
      .describe(
        "Who may give pipelines variables of their own, and schedules any: no_one_allowed is for projects without schedules",
      ),
    keepLatestArtifact: z.boolean(),
    protectMergeRequestPipelines: z.boolean(),
    publicJobs: z.boolean(),
    forkingAccessLevel: z.enum(["disabled", "private", "enabled"]),
    sharedRunnersEnabled: z.boolean(),
    groupRunnersEnabled: z.boolean(),
  })
  .partial();
export type ProjectSettings = z.output<typeof settingsSchema>;

const branchSchema = z.strictObject({
  push: levelSchema.default("maintainer"),
  merge: levelSchema.default("maintainer"),
  forcePush: z.boolean().default(false),
  alsoPush: z.array(whoSchema).default([]).describe("Premium"),
  alsoMerge: z.array(whoSchema).default([]).describe("Premium"),
  codeOwnersApprove: z.boolean().default(false).describe("Premium"),
});
export type BranchConfig = z.output<typeof branchSchema>;

const tagSchema = z.strictObject({
  create: levelSchema.default("maintainer"),
  alsoCreate: z.array(whoSchema).default([]).describe("Premium"),
});
export type TagConfig = z.output<typeof tagSchema>;

const environmentSchema = z.strictObject({
  tier: z
    .enum(["production", "staging", "testing", "development", "other"])
    .optional(),
  url: z.url({ protocol: /^https?$/ }).optional(),
  description: z.string().optional(),
  deploy: z
    .array(whoSchema)
    .min(1)
    .optional()
    .describe("Who may deploy to it; it is protected then (Premium)"),
  approve: z
    .array(
      z
        .strictObject({
          ...whoFields,
          approvals: z.int().positive().optional(),
        })
        .refine(isOne, oneOnly)
        .refine(
          ({ user, approvals }) =>
            user === undefined || approvals === undefined,
          {
            path: ["approvals"],
            message: "cannot be said of one user, who approves once",
          },
        ),
    )
    .min(1)
    .optional()
    .describe("Who has to approve of a deployment first (Premium)"),
});
export type EnvironmentConfig = z.output<typeof environmentSchema>;

const scheduleSchema = z
  .strictObject({
    cron: z.string(),
    timezone: z.string().default("UTC"),
    branch: refSchema.optional().describe("The project's default branch else"),
    active: z.boolean().default(true),
    description: z.string().min(1).optional(),
    variables: z.record(variableKeySchema, z.string()).default({}),
  })
  .superRefine((times, context) => {
    const problem = scheduleProblem(times);
    if (problem === undefined) return;
    const { field, message } = problem;
    context.addIssue({ code: "custom", path: [field], message });
  });
export type ScheduleConfig = z.output<typeof scheduleSchema>;

const schedulesSchema = z.record(ownNameSchema, scheduleSchema);

/**
 * At 14:14 UTC Debian's archive has settled after one of its four updates a day; Saturdays have runners to spare, and drift
 * is known when people come to work in Europe.
 */
const buildSchedules = {
  daily: { cron: "14 14 * * *" },
  weekly: { cron: "14 2 * * 6" },
  drift: { cron: "30 5 * * *" },
} as const;

const approvalRuleSchema = z.strictObject({
  approvals: z.int().nonnegative(),
  users: z.array(idSchema).default([]),
  groups: z.array(idSchema).default([]),
  branches: z
    .array(refSchema)
    .default([])
    .describe("Some of protectedBranches; all branches when left out"),
});
export type ApprovalRuleConfig = z.output<typeof approvalRuleSchema>;

const approvalsSchema = z.strictObject({
  authorsApprove: z.boolean().default(false),
  committersApprove: z.boolean().default(false),
  resetOnPush: z.boolean().default(true),
  overridable: z
    .boolean()
    .default(false)
    .describe("Whether a merge request may change who approves of it"),
});
export type ApprovalsConfig = z.output<typeof approvalsSchema>;

/** What a webhook is called on: the beginnings of its arguments' names, as @pulumi/gitlab has them. */
export const hookEvents = [
  ...["confidentialIssues", "confidentialNote", "deployment", "emoji"],
  ...["featureFlag", "issues", "job", "mergeRequests", "milestone", "note"],
  ...["pipeline", "push", "releases", "resourceAccessToken"],
  ...["resourceDeployToken", "tagPush", "vulnerability", "wikiPage"],
] as const;

const webhookSchema = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: "must be an http address" })
    .refine(
      (address) => !/^[^/]*\/\/[^/]*@/.test(address),
      "must have no user name or password: use token",
    )
    .describe("A secret of the stack: whoever knows a chat's may write there"),
  token: z.string().min(1).optional().describe("A secret of the stack"),
  events: z.array(z.enum(hookEvents)).min(1),
  branches: refSchema.optional().describe("Pushes that it is called on"),
});
export type WebhookConfig = z.output<typeof webhookSchema>;

const projectFields = z.strictObject({
  path: z
    .string()
    .regex(
      /^[a-z\d][\w.-]*(?<!\.git|\.atom|[.-])$/i,
      "must be the last part of the project's address: letters, digits, _ . and -",
    )
    .optional()
    .describe("Of a project that is made"),
  adopt: idSchema.optional().describe("Id of a project that there is"),
  settings: settingsSchema
    .default({})
    .describe("Of an adopted project, those that are named and no other"),
  protectedBranches: z.record(refSchema, branchSchema).default({}),
  protectedTags: z.record(refSchema, tagSchema).default({}),
  environments: z
    .record(
      z
        .string()
        .regex(
          /^(?!\/)[\w/${}. -]{1,255}(?<!\/)$/,
          "must be letters, digits, spaces and characters of -_/{}., without a slash at either end",
        ),
      environmentSchema,
    )
    .default({}),
  variables: variablesSchema,
  schedules: schedulesSchema.default({}),
  approvals: approvalsSchema.optional().describe("Premium"),
  approvalRules: z.record(ownNameSchema, approvalRuleSchema).default({}),
  jobTokens: z
    .strictObject({
      projects: z
        .array(z.union([z.enum(["image", "release"]), idSchema]))
        .default([]),
      groups: z.array(idSchema).default([]),
    })
    .optional()
    .describe("Whose jobs may reach the project with their own tokens"),
  webhooks: z.record(ownNameSchema, webhookSchema).default({}),
});

type Fields = z.output<typeof projectFields>;

function checkProject(
  {
    path,
    adopt,
    settings,
    protectedBranches,
    schedules,
    approvalRules,
  }: Fields,
  context: z.RefinementCtx<Fields>,
): void {
  const complain = (at: (string | number)[], message: string) =>
    context.addIssue({ code: "custom", path: at, message });
  if (path === undefined && adopt === undefined) {
    complain(
      ["path"],
      "is missing: name the project that is to be made, or adopt one by its id",
    );
  }
  if (path !== undefined && adopt !== undefined) {
    complain(
      ["adopt"],
      "names a project that there is, so path cannot name a new one: take one of them out",
    );
  }
  const [schedule] = Object.keys(schedules);
  if (
    settings.ciPipelineVariablesMinimumOverrideRole === "no_one_allowed" &&
    schedule !== undefined
  ) {
    complain(
      ["settings", "ciPipelineVariablesMinimumOverrideRole"],
      `lets nobody set variables, those of schedules included, and the schedule ${schedule} has one that tells jobs its name: say maintainer, or let the project have no schedules (schedules: {})`,
    );
  }
  for (const [name, { branches }] of Object.entries(approvalRules)) {
    for (const [index, branch] of branches.entries()) {
      if (branch in protectedBranches) continue;
      complain(
        ["approvalRules", name, "branches", index],
        "must be one of protectedBranches",
      );
    }
  }
}

export const projectSchema = projectFields.superRefine(checkProject);
export type ProjectConfig = Readonly<Fields>;

/** The project whose pipelines build: schedules belong to it. */
export const imageProjectSchema = projectFields
  .extend({ schedules: schedulesSchema.prefault(buildSchedules) })
  .superRefine(checkProject);
