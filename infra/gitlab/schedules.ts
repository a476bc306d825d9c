/** Schedules of pipelines, and their variables. */

import { PipelineSchedule, PipelineScheduleVariable } from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectRole, ProjectScope } from "./project.ts";
import type { ProjectConfig } from "./projectConfig.ts";

/** Says in a schedule's pipelines which one it is: the rules of jobs ask for it. */
export const scheduleVariable = "CLOUD_IMAGES_SCHEDULE";

/** What GitLab calls the first branch of a project when nobody says otherwise. */
export const usualBranch = "main";

export function declareSchedules(
  { name, role, project, ownBranch, ownVariablesRole, child }: ProjectScope,
  { schedules, settings }: Pick<ProjectConfig, "schedules" | "settings">,
): void {
  for (const [title, config] of Object.entries(schedules)) {
    const { cron, timezone, branch, active, description, variables } = config;
    const own = `${name}-schedule-${title}`;
    const schedule = new PipelineSchedule(
      own,
      {
        ...{ project, cron, active },
        cronTimezone: timezone,
        description: description ?? title,
        ref: pulumi
          .all([ownBranch, ownVariablesRole])
          .apply(([own, variablesRole]) => {
            requireVariables(role, variablesRole);
            return `refs/heads/${branch ?? settings.defaultBranch ?? own ?? usualBranch}`;
          }),
        // Whoever changed it by hand owns it, and GitLab lets nobody else put that right.
        takeOwnership: true,
      },
      child,
    );
    const all = { ...variables, [scheduleVariable]: title };
    for (const [key, value] of Object.entries(all)) {
      new PipelineScheduleVariable(
        `${own}-variable-${key}`,
        {
          ...{ project, key },
          pipelineScheduleId: schedule.pipelineScheduleId,
          value: pulumi.secret(value),
        },
        {
          ...child,
          deleteBeforeReplace: true,
          // They go with it, even where nobody may set any by then.
          deletedWith: schedule,
        },
      );
    }
  }
}

/**
 * Makes sure of what GitLab asks for before it gives a schedule a variable (`set_pipeline_variables` in
 * lib/api/ci/pipeline_schedules.rb of its sources), and before there is a schedule without: jobs would take it for another one.
 *
 * @param variablesRole of a project that was there before; `undefined` where the configuration says it
 * @throws {pulumi.RunError} naming the field that cures it.
 */
function requireVariables(
  role: ProjectRole,
  variablesRole: string | undefined,
): void {
  if (variablesRole !== "no_one_allowed") return;
  const field = "ciPipelineVariablesMinimumOverrideRole";
  throw new pulumi.RunError(
    `Pulumi.${pulumi.getStack()}.yaml: cloud-images:gitlab.${role}.settings.${field} is missing, and the adopted project has no_one_allowed: ` +
      `GitLab lets nobody set variables there, those of schedules included. Say ${field}: maintainer, or schedules: {} for none.`,
  );
}
