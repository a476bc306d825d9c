/** Schedules of pipelines, and their variables. */

import { PipelineSchedule, PipelineScheduleVariable } from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectScope } from "./project.ts";
import type { ProjectConfig } from "./projectConfig.ts";

/** Says in a schedule's pipelines which one it is: the rules of jobs ask for it. */
export const scheduleVariable = "CLOUD_IMAGES_SCHEDULE";

/** What GitLab calls the first branch of a project when nobody says otherwise. */
export const usualBranch = "main";

export function declareSchedules(
  { name, project, ownBranch, child }: ProjectScope,
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
        ref: ownBranch.apply(
          (own) =>
            `refs/heads/${branch ?? settings.defaultBranch ?? own ?? usualBranch}`,
        ),
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
        { ...child, deleteBeforeReplace: true },
      );
    }
  }
}
