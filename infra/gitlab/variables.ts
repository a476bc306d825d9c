/** Variables of jobs. */

import { ProjectVariable } from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";
import type { ProjectScope } from "./project.ts";
import type { VariableConfig } from "./variableConfig.ts";

/** A variable whose value may be known only when it is made. */
export type DeclaredVariable = Omit<VariableConfig, "value"> & {
  readonly value: pulumi.Input<string>;
};

/** Its value is a secret in the state, whatever it is. */
export function declareVariable(
  { name, project, child }: ProjectScope,
  variable: DeclaredVariable,
): ProjectVariable {
  const { key, value, environment, file, description, ...flags } = variable;
  const { protected: isProtected, masked, hidden, raw } = flags;
  const suffix = environment === "*" ? "" : `-${environment}`;
  return new ProjectVariable(
    `${name}-variable-${key}${suffix}`,
    {
      ...{ project, key, masked, hidden, raw },
      protected: isProtected,
      value: pulumi.secret(value),
      environmentScope: environment,
      variableType: file ? "file" : "env_var",
      ...(description === undefined ? {} : { description }),
    },
    {
      ...child,
      deleteBeforeReplace: true,
      // GitLab refuses what @pulumi/gitlab sends to change a hidden one ("The visibility setting cannot be changed").
      ...(hidden ? { replaceOnChanges: ["*"] } : {}),
    },
  );
}
