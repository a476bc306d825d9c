/** A variable of a project's jobs, in a stack's configuration. */

import { z } from "zod";

/** What GitLab masks: one line, and unless it is raw, characters that nothing expands (Ci::Maskable of GitLab's sources). */
const maskedValue = /^[\w+=/@:.~-]{8,}$/;
const maskedRawValue = /^\S{8,}$/;

/** Characters of a value (documentation of GitLab, CI/CD variables). */
const valueCharacters = 10_000;

export const variableKeySchema = z
  .string()
  .regex(/^\w{1,255}$/, "must be letters, digits and _, 255 at most");

/** Names of environments, with * in them (Gitlab::Regex.environment_scope_regex). */
const scopeSchema = z
  .string()
  .regex(
    /^[\w/${}. *-]{1,255}$/,
    "must be the name of an environment, in which * stands for any characters",
  );

export const variableSchema = z
  .strictObject({
    key: variableKeySchema,
    value: z
      .string()
      .max(valueCharacters, `must have ${valueCharacters} characters at most`)
      .describe("A secret of the stack, unless it is none"),
    environment: scopeSchema
      .default("*")
      .describe("Environments whose jobs get it"),
    protected: z
      .boolean()
      .default(true)
      .describe("Whether only protected branches and tags get it"),
    masked: z
      .boolean()
      .default(false)
      .describe("Whether logs of jobs have [MASKED] in its place"),
    hidden: z
      .boolean()
      .default(false)
      .describe("Whether nobody sees it in GitLab's settings, either"),
    raw: z
      .boolean()
      .default(true)
      .describe("Whether $ in it is a mere character"),
    file: z
      .boolean()
      .default(false)
      .describe("Whether jobs get the path of a file with the value"),
    description: z.string().max(255).optional(),
  })
  .superRefine(({ value, masked, hidden, raw }, context) => {
    const complain = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message });
    if (hidden && !masked) {
      complain("masked", "must be true where hidden is: GitLab hides no other");
    }
    if (masked && raw && !maskedRawValue.test(value)) {
      complain(
        "value",
        "cannot be masked: GitLab masks one line of 8 or more characters without white space. Encode it, as with base64 -w0, or do not mask it",
      );
    }
    if (masked && !raw && !maskedValue.test(value)) {
      complain(
        "value",
        "cannot be masked: GitLab masks 8 or more letters, digits and characters of _+=/@:.~- when raw is false. Let raw be true, or encode it",
      );
    }
  });
export type VariableConfig = Readonly<z.output<typeof variableSchema>>;

/** All variables of a project: GitLab has one for each key and scope. */
export const variablesSchema = z
  .array(variableSchema)
  .superRefine((variables, context) => {
    const seen = new Set<string>();
    for (const [index, { key, environment }] of variables.entries()) {
      const name = `${key} ${environment}`;
      if (seen.has(name)) {
        context.addIssue({
          code: "custom",
          path: [index, "key"],
          message: `is there twice for ${environment === "*" ? "all environments" : `the environment ${environment}`}`,
        });
      }
      seen.add(name);
    }
  })
  .default([]);
