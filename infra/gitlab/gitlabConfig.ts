/** GitLab in a stack's configuration: the projects that images are made and released in, and their runners. */

import { z } from "zod";
import {
  idSchema,
  imageProjectSchema,
  ownNameSchema,
  projectSchema,
} from "./projectConfig.ts";
import { variableKeySchema } from "./variableConfig.ts";

/** Has the token for notes, unless the configuration says another variable. */
export const noteTokenVariable = "CLOUD_IMAGES_NOTE_TOKEN";

/** Tells jobs of the release project which one the image project is. */
export const imageProjectVariable = "CLOUD_IMAGES_IMAGE_PROJECT";

/** Days that GitLab lets a token of a project live. */
const longestTokenDays = 365;

const noteTokenSchema = z
  .strictObject({
    variable: variableKeySchema.default(noteTokenVariable),
    in: z
      .enum(["image", "release"])
      .default("image")
      .describe(
        "Whose jobs write notes; those of protected branches of the image project write issues in any case",
      ),
    protected: z
      .boolean()
      .default(true)
      .describe(
        "Whether only protected branches get it; others may change the job that has it",
      ),
    days: z
      .int()
      .min(2)
      .max(longestTokenDays)
      .default(60)
      .describe("How long a token is good for"),
    renewDays: z
      .int()
      .positive()
      .default(30)
      .describe("How long before its end an up makes a new one"),
  })
  .refine(({ days, renewDays }) => renewDays < days, {
    path: ["renewDays"],
    message: "must be less than days, or every up would make a new token",
  })
  .describe("A token for notes on merge requests and for issues about drift");
export type NoteTokenConfig = z.output<typeof noteTokenSchema>;

const runnerSchema = z.strictObject({
  project: z
    .enum(["image", "release"])
    .optional()
    .describe(
      "Whose jobs it takes; those of the whole group when left out, which a protected one may not",
    ),
  description: z.string().min(1).optional(),
  tags: z
    .array(z.string().regex(/^[\w.:-]+$/, "must be a tag without white space"))
    .min(1)
    .describe("Jobs name all of theirs"),
  protected: z
    .boolean()
    .describe(
      "Whether it takes jobs of protected branches and tags only: those that publish belong on no other, and no others on theirs",
    ),
  timeoutMinutes: z
    .int()
    .min(10)
    .default(180)
    .describe("When it ends a job, whatever the job says"),
  paused: z.boolean().default(false),
});
export type GitlabRunnerConfig = Readonly<z.output<typeof runnerSchema>>;

const noRelease =
  "names the release project, which gitlab.release does not describe";

export const gitlabConfigSchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: "must be an http address" })
      .refine(
        (address) => !/[?#@]|\/$/.test(address),
        "must have no user name, query or slash at its end",
      )
      .default("https://gitlab.com"),
    token: z
      .string()
      .min(1)
      .optional()
      .describe(
        "A secret of the stack; GITLAB_TOKEN of the environment when left out",
      ),
    group: idSchema
      .optional()
      .describe("Id of the group that projects are made in"),
    image: imageProjectSchema.describe("Builds the images"),
    release: projectSchema.optional().describe("Makes releases of them"),
    noteToken: noteTokenSchema.optional(),
    runners: z.record(ownNameSchema, runnerSchema).default({}),
  })
  .superRefine((config, context) => {
    const { group, release, runners, noteToken } = config;
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    for (const name of ["image", "release"] as const) {
      const project = config[name];
      if (project?.path !== undefined && group === undefined) {
        complain(
          ["group"],
          `is missing: ${name}.path names a project that is to be made in it`,
        );
      }
      for (const [index, other] of (
        project?.jobTokens?.projects ?? []
      ).entries()) {
        if (other !== "release" || release !== undefined) continue;
        complain([name, "jobTokens", "projects", index], noRelease);
      }
    }
    if (noteToken?.in === "release" && release === undefined) {
      complain(["noteToken", "in"], noRelease);
    }
    for (const role of ["image", "release"] as const) {
      // The image project always has it; only the release project has the other's id.
      if (noteToken === undefined) break;
      if (role === "release" && noteToken.in === "image") continue;
      const variables = config[role]?.variables ?? [];
      for (const [index, { key, environment }] of variables.entries()) {
        if (environment !== "*") continue;
        if (key === noteToken.variable) {
          complain(["noteToken", "variable"], "is among the variables, too");
        }
        if (key === imageProjectVariable && role === "release") {
          complain(
            ["release", "variables", index, "key"],
            "is declared with noteToken: take it out",
          );
        }
      }
    }
    if (noteToken?.in === "release" && config.image.webhooks.notes) {
      complain(
        ["image", "webhooks", "notes"],
        "is the name of the webhook that comes with noteToken: give it another one",
      );
    }
    for (const [name, runner] of Object.entries(runners)) {
      const { project } = runner;
      if (project === undefined && runner.protected) {
        complain(
          ["runners", name, "project"],
          "is missing: a protected runner of the whole group would run jobs of every project's protected branches where releases are made. Say image or release, and declare one for each",
        );
      } else if (project === undefined && group === undefined) {
        complain(
          ["runners", name, "project"],
          "is missing, and so is gitlab.group: say whose jobs the runner takes",
        );
      }
      if (project === "release" && release === undefined) {
        complain(["runners", name, "project"], noRelease);
      }
    }
  })
  .describe("Projects, schedules and runners of GitLab");
export type GitlabConfig = z.output<typeof gitlabConfigSchema>;
