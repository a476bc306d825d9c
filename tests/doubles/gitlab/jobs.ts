/** Variables and schedules of jobs, their tokens, and the runners that run them. */

import { isEmpty, type Properties, unknown, type Value } from "../values.ts";
import {
  gitlabKind,
  madeUpToken,
  projectOf,
  projectToken,
  thingsOf,
} from "./kind.ts";
import { RefusedByGitlab, type World } from "./world.ts";

const variableToken = "gitlab:index/projectVariable:ProjectVariable";
const scheduleToken = "gitlab:index/pipelineSchedule:PipelineSchedule";

/** Ci::Maskable of GitLab's sources. */
const maskable = /^[a-zA-Z0-9_+=/@:.~-]{8,}$/;
const maskableRaw = /^\S{8,}$/;

function refuseKey(path: string, { key }: Properties): void {
  if (/^\w{1,255}$/.test(String(key))) return;
  throw new RefusedByGitlab(
    path,
    400,
    "{key: [can contain only letters, digits and '_'.]}",
  );
}

export const variableKind = gitlabKind(variableToken, {
  path: "variables",
  replacing: ["key", "project", "environmentScope", "hidden"],
  usual: { environmentScope: "*", variableType: "env_var" },
  idOf: ({ project, key, environmentScope }) =>
    `${project}:${key}:${environmentScope ?? "*"}`,
  refuse(world, inputs, id) {
    const { key, value, masked, hidden, raw, environmentScope } = inputs;
    refuseKey("variables", inputs);
    const own = `${inputs.project}:${key}:${environmentScope ?? "*"}`;
    if (id === undefined && thingsOf(world, variableToken)[own]) {
      throw new RefusedByGitlab(
        "variables",
        400,
        `{key: [(${key}) has already been taken]}`,
      );
    }
    if (String(value).length > 10_000) {
      throw new RefusedByGitlab(
        "variables",
        400,
        "{value: [is too long (maximum is 10000 characters)]}",
      );
    }
    const pattern = raw === true ? maskableRaw : maskable;
    if ((masked === true || hidden === true) && !pattern.test(String(value))) {
      throw new RefusedByGitlab("variables", 400, "{value: [is invalid]}");
    }
    if (hidden === true && masked !== true) {
      throw new RefusedByGitlab("variables", 400, "{masked: [must be true]}");
    }
    if (id !== undefined && thingsOf(world, variableToken)[id]?.hidden) {
      throw new RefusedByGitlab(
        "variables",
        400,
        "The visibility setting cannot be changed for masked and hidden variables.",
      );
    }
  },
});

/** Lowest and highest numbers of the five fields, as fugit reads them. */
const limits = [
  [0, 59],
  [0, 24],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** Numbers, lists, ranges and steps. */
function isCron(cron: string): boolean {
  const fields = cron.split(" ");
  return (
    fields.length === limits.length &&
    fields.every((field, index) => {
      const [low, high] = limits[index] as (typeof limits)[number];
      return field.split(",").every((part) => {
        const parsed = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/\d+)?$/.exec(part);
        if (parsed === null) return false;
        return parsed
          .slice(1)
          .flatMap((text) => (text === undefined ? [] : Number(text)))
          .every((number) => number >= low && number <= high);
      });
    })
  );
}

/** Names that TZInfo has; a sample is enough to tell them from others. */
function isZone(name: string): boolean {
  return (
    /^[A-Z][a-zA-Z0-9+-]+(\/[A-Z][a-zA-Z0-9+_-]+){0,2}$/.test(name) &&
    (name === "UTC" || Intl.supportedValuesOf("timeZone").includes(name))
  );
}

export const scheduleKind = gitlabKind(scheduleToken, {
  path: "pipeline_schedules",
  replacing: ["project"],
  unread: ["takeOwnership"],
  usual: { active: true, cronTimezone: "UTC" },
  idOf: ({ project }, number) => `${project}:${number}`,
  outputsOf: (_inputs, number) => ({ pipelineScheduleId: number, owner: 7 }),
  check({ ref }) {
    if (ref === unknown || /^refs\/(heads|tags)\/\S+$/.test(String(ref)))
      return [];
    return [
      {
        property: "ref",
        reason: `must be the full reference, such as refs/heads/main: ${ref}`,
      },
    ];
  },
  refuse(_world, { cron, cronTimezone }) {
    if (!isCron(String(cron))) {
      throw new RefusedByGitlab(
        "pipeline_schedules",
        400,
        "{cron: [syntax is invalid]}",
      );
    }
    if (cronTimezone !== undefined && !isZone(String(cronTimezone))) {
      throw new RefusedByGitlab(
        "pipeline_schedules",
        400,
        "{cron_timezone: [syntax is invalid]}",
      );
    }
  },
  remove(world, id) {
    delete thingsOf(world, scheduleToken)[id];
    const variables = thingsOf(world, scheduleVariableToken);
    for (const name of Object.keys(variables)) {
      if (name.startsWith(`${id}:`)) delete variables[name];
    }
  },
});

const scheduleVariableToken =
  "gitlab:index/pipelineScheduleVariable:PipelineScheduleVariable";

/** The permission `set_pipeline_variables`, for an owner. */
function requireSettable(world: World, project: Value | undefined): void {
  const { ciPipelineVariablesMinimumOverrideRole: role } =
    thingsOf(world, projectToken)[projectOf(world, project)] ?? {};
  if (role !== "no_one_allowed") return;
  throw new RefusedByGitlab(
    "pipeline_schedules/variables",
    403,
    "403 Forbidden",
  );
}

export const scheduleVariableKind = gitlabKind(scheduleVariableToken, {
  path: "pipeline_schedules/variables",
  usual: { variableType: "env_var" },
  idOf: ({ project, pipelineScheduleId, key }) =>
    `${project}:${pipelineScheduleId}:${key}`,
  refuse(world, inputs) {
    const { project, pipelineScheduleId } = inputs;
    requireSettable(world, project);
    refuseKey("pipeline_schedules/variables", inputs);
    if (!thingsOf(world, scheduleToken)[`${project}:${pipelineScheduleId}`]) {
      throw new RefusedByGitlab(
        "pipeline_schedules",
        404,
        "404 Pipeline Schedule Not Found",
      );
    }
  },
  remove(world, id, { project }) {
    requireSettable(world, project);
    delete thingsOf(world, scheduleVariableToken)[id];
  },
});

export const runnerKind = gitlabKind("gitlab:index/userRunner:UserRunner", {
  path: "user/runners",
  replacing: ["runnerType", "groupId", "projectId"],
  usual: { accessLevel: "not_protected" },
  idOf: (_inputs, number) => String(number),
  outputsOf: () => ({ token: madeUpToken("glrt") }),
  check({
    runnerType,
    groupId,
    projectId,
    maximumTimeout,
    untagged,
    tagLists,
  }) {
    const wrong = (property: string, reason: string) => [{ property, reason }];
    if (
      runnerType === "group_type" &&
      (groupId === undefined || projectId !== undefined)
    ) {
      return wrong("groupId", "is required for group_type, and no projectId");
    }
    if (
      runnerType === "project_type" &&
      (projectId === undefined || groupId !== undefined)
    ) {
      return wrong("projectId", "is required for project_type, and no groupId");
    }
    if (typeof maximumTimeout === "number" && maximumTimeout < 600) {
      return wrong("maximumTimeout", "must be at least 600");
    }
    if (untagged !== true && isEmpty(tagLists)) {
      return wrong(
        "tagLists",
        "can not be empty when runner is not allowed to pick untagged jobs",
      );
    }
    return [];
  },
  refuse(world, { projectId }) {
    if (projectId !== undefined) projectOf(world, projectId);
  },
});

export const triggerKind = gitlabKind(
  "gitlab:index/pipelineTrigger:PipelineTrigger",
  {
    path: "triggers",
    replacing: ["project"],
    // Shown in full to whoever made it.
    unread: ["token"],
    idOf: ({ project }, number) => `${project}:${number}`,
    outputsOf: (_inputs, number) => ({
      pipelineTriggerId: number,
      token: madeUpToken("glptt"),
    }),
  },
);

export const jobTokenScopesKind = gitlabKind(
  "gitlab:index/projectJobTokenScopes:ProjectJobTokenScopes",
  {
    path: "job_token_scope",
    replacing: ["project"],
    usual: { enabled: true },
    idOf: ({ project }) => String(project),
    refuse(world, { targetProjectIds }) {
      for (const id of (targetProjectIds as readonly number[]) ?? []) {
        projectOf(world, id);
      }
    },
  },
);

/** Days between two dates of the form `YYYY-MM-DD`. */
function daysBetween(one: string, other: string): number {
  return (Date.parse(other) - Date.parse(one)) / 86_400_000;
}

function dayAfter({ today }: World, days: number): string {
  return new Date(Date.parse(today) + days * 86_400_000)
    .toISOString()
    .slice(0, 10);
}

interface Rotation {
  readonly expirationDays: number;
  readonly rotateBeforeDays: number;
}

/** A new token, as one is made and made anew. */
function newToken(world: World, inputs: Properties): Properties {
  const rotation = inputs.rotationConfiguration as Rotation | undefined;
  return {
    token: madeUpToken("glpat"),
    ...(rotation === undefined
      ? {}
      : { expiresAt: dayAfter(world, rotation.expirationDays) }),
  };
}

export const accessTokenKind = gitlabKind(
  "gitlab:index/projectAccessToken:ProjectAccessToken",
  {
    path: "access_tokens",
    replacing: ["accessLevel", "name", "project", "scopes"],
    unread: ["token"],
    usual: { accessLevel: "maintainer", active: true },
    idOf: ({ project }, number) => `${project}:${number}`,
    outputsOf: (inputs, _number, world) => newToken(world, inputs),
    check({ expiresAt, rotationConfiguration }) {
      const isOne =
        (expiresAt === undefined) !== (rotationConfiguration === undefined);
      return isOne
        ? []
        : [
            {
              property: "expiresAt",
              reason:
                "exactly one of expiresAt, rotationConfiguration must be specified",
            },
          ];
    },
    refuse(world, { expiresAt }) {
      if (expiresAt === undefined) return;
      const days = daysBetween(world.today, String(expiresAt));
      if (days > 0 && days <= 365) return;
      throw new RefusedByGitlab(
        "access_tokens",
        400,
        "{expires_at: [must be before one year from now]}",
      );
    },
    due(world, { expiresAt, rotationConfiguration }) {
      const rotation = rotationConfiguration as Rotation | undefined;
      if (rotation === undefined || expiresAt === undefined) return [];
      const days = daysBetween(world.today, String(expiresAt));
      return days <= rotation.rotateBeforeDays ? ["expiresAt"] : [];
    },
    renewed: (world, _olds, news) => newToken(world, news),
  },
);
