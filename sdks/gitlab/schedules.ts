/** Schedules of pipelines. */

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

const pipelineScheduleInput = object(
  "PipelineScheduleInput",
  { name: text, value: text },
  {},
);

export const pipelineScheduleShape = shape(
  "gitlab:index/pipelineSchedule:PipelineSchedule",
  { cron: text, description: text, project: text, ref: text },
  {
    active: flag,
    cronTimezone: text,
    inputs: list(pipelineScheduleInput),
    takeOwnership: flag,
  },
  { owner: integer, pipelineScheduleId: integer },
);
export type PipelineScheduleArgs = ArgsOf<typeof pipelineScheduleShape>;

/** When pipelines of a branch are started. */
export class PipelineSchedule extends resourceClass(pipelineScheduleShape) {}

export const pipelineScheduleVariableShape = shape(
  "gitlab:index/pipelineScheduleVariable:PipelineScheduleVariable",
  { key: text, pipelineScheduleId: integer, project: text, value: text },
  { variableType: text },
);
export type PipelineScheduleVariableArgs = ArgsOf<
  typeof pipelineScheduleVariableShape
>;

/** A variable of a schedule's pipelines. */
export class PipelineScheduleVariable extends resourceClass(
  pipelineScheduleVariableShape,
) {}
