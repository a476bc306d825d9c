/** Variables of projects' jobs. */

import { type ArgsOf, flag, resourceClass, shape, text } from "./shape.ts";

export const projectVariableShape = shape(
  "gitlab:index/projectVariable:ProjectVariable",
  { key: text, project: text, value: text },
  {
    description: text,
    environmentScope: text,
    hidden: flag,
    masked: flag,
    protected: flag,
    raw: flag,
    variableType: text,
  },
);
export type ProjectVariableArgs = ArgsOf<typeof projectVariableShape>;

/** A variable of a project's jobs. */
export class ProjectVariable extends resourceClass(projectVariableShape) {}
