/** What GitLab tells a job of its pipeline, and what ours are given: the one place that reads those variables. */

import { UserError } from "../errors.ts";
import {
  imageProjectVariable,
  noteTokenVariable,
} from "../gitlab/gitlabConfig.ts";
import type { Environment } from "./enginePreview.ts";
import type { GitlabAccess } from "./gitlabClient.ts";
import type { NoteContext } from "./noteText.ts";

/** A variable that has a value. */
function variable(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === "" ? undefined : value;
}

/** The pipeline at work; outside of one, a note names none. */
export function pipelineOf(env: Environment): NoteContext {
  const pipeline = Number(variable(env, "CI_PIPELINE_ID") ?? 0);
  const commit = variable(env, "CI_COMMIT_SHA") ?? "0".repeat(40);
  return { pipeline, commit, url: variable(env, "CI_PIPELINE_URL") };
}

/** The number of the merge request that the pipeline belongs to. */
export function mergeRequestOf(env: Environment): number | undefined {
  const iid = variable(env, "CI_MERGE_REQUEST_IID");
  return iid !== undefined && /^\d{1,9}$/.test(iid) ? Number(iid) : undefined;
}

/** The project that merge requests and issues are in. A fork's pipelines have its own id beside that. */
export function imageProjectOf(env: Environment): string {
  const project =
    variable(env, imageProjectVariable) ??
    variable(env, "CI_MERGE_REQUEST_PROJECT_ID") ??
    variable(env, "CI_PROJECT_ID");
  if (project !== undefined) return project;
  throw new UserError(
    `No project is named. Run this in a job of GitLab's, or set ${imageProjectVariable} to the id of the image project.`,
  );
}

/** The image project, for a job of another one. @throws {UserError} where it is not named. */
export function otherImageProjectOf(env: Environment): string {
  const project = variable(env, imageProjectVariable);
  if (project !== undefined) return project;
  throw new UserError(
    `${imageProjectVariable} is missing: the id or path of the project whose merge requests get notes. Set it as a variable of this project.`,
  );
}

/** @returns `undefined` where there is no token */
export function gitlabAccessOf(env: Environment): GitlabAccess | undefined {
  const token = variable(env, noteTokenVariable);
  if (token === undefined) return undefined;
  const apiUrl = variable(env, "CI_API_V4_URL");
  if (apiUrl === undefined) {
    throw new UserError(
      "CI_API_V4_URL is missing: the address of GitLab's API, such as https://gitlab.com/api/v4. Jobs of GitLab's have it.",
    );
  }
  return { apiUrl, token, tokenName: noteTokenVariable };
}
