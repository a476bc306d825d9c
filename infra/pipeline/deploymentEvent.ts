/**
 * The event of a preview's job, as a webhook of GitLab's brings it, and what that job made: all of it is anybody's until it is checked.
 *
 * The job has an environment so that GitLab tells of it as a deployment. Events of pipelines start no pipelines (GitLab answers 403,
 * lib/api/ci/triggers.rb of its sources), and those of jobs would start one for each step of each job.
 */

import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { GitlabError, UserError } from "../errors.ts";
import { type GitlabClient, segment } from "./gitlabClient.ts";
import type { PipelineMark } from "./noteMarker.ts";
import {
  longestDocumentBytes,
  type PreviewDocument,
  parsePreviewDocument,
} from "./previewDocument.ts";

/** GitLab ends an event's text long before that. */
const longestEventBytes = 8 * 1024 * 1024;

/** https://docs.gitlab.com/user/project/integrations/webhook_events/#deployment-events */
const eventSchema = z.looseObject({
  object_kind: z.literal("deployment"),
  status: z.string(),
  deployable_id: z.int().positive(),
  project: z.looseObject({
    id: z.int().positive(),
    path_with_namespace: z.string(),
  }),
});

/** What of an event is used: everything else is asked of GitLab. */
export interface DeploymentEvent {
  /** Id of the job. */
  readonly job: number;
  readonly status: string;
  readonly projectId: number;
  readonly projectPath: string;
}

/**
 * Reads an event from the file that GitLab makes of a trigger's body (TRIGGER_PAYLOAD).
 *
 * @throws {UserError} for what is no event of a deployment.
 */
export async function readDeploymentEvent(
  path: string,
): Promise<DeploymentEvent> {
  const wrong = (reason: string) =>
    new UserError(
      `The file that TRIGGER_PAYLOAD names ${reason}. This job is for pipelines that a webhook on deployment events starts; see docs/notes-and-drift.md.`,
    );
  const size = await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
  if (size === undefined) throw wrong("is not there");
  if (size > longestEventBytes) throw wrong("is too long");
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch {
    throw wrong("is not JSON");
  }
  const parsed = eventSchema.safeParse(value);
  if (!parsed.success) throw wrong("is no event of a deployment");
  const { deployable_id, status, project } = parsed.data;
  return {
    job: deployable_id,
    status,
    projectId: project.id,
    projectPath: project.path_with_namespace,
  };
}

const jobSchema = z.looseObject({
  id: z.int(),
  name: z.string(),
  status: z.string(),
  pipeline: z.looseObject({ id: z.int() }),
});

const pipelineSchema = z.looseObject({
  id: z.int(),
  sha: z.string().regex(/^[0-9a-f]{7,64}$/),
  ref: z.string(),
  status: z.string(),
  source: z.string(),
  web_url: z.string().optional(),
});

const mergeRequestSchema = z.looseObject({
  head_pipeline: z.looseObject({ sha: z.string() }).nullish(),
});

/** A merge request's pipeline, or a child of it, as GitLab says it. */
export interface MergeRequestPipeline extends PipelineMark {
  /** The number of the merge request. */
  readonly iid: number;
  readonly url: string | undefined;
}

/**
 * Asks GitLab of a job, and of the pipeline that it belongs to.
 *
 * @param jobName of the pipeline file: other jobs may have environments, too
 * @returns `undefined` for another job, one at work, and a pipeline of no merge request
 * @throws {GitlabError} when it does not tell.
 */
export async function mergeRequestPipeline(
  client: GitlabClient,
  project: string,
  job: number,
  jobName: string,
): Promise<MergeRequestPipeline | undefined> {
  const place = `projects/${segment(project)}`;
  const { name, status, pipeline } = await client.get(
    `${place}/jobs/${job}`,
    jobSchema,
  );
  if (name !== jobName || !hasEnded(status)) return undefined;
  const { id, sha, ref, source, web_url } = await client.get(
    `${place}/pipelines/${pipeline.id}`,
    pipelineSchema,
  );
  // GitLab makes these references; nobody can push to them.
  const [, iid] =
    /^refs\/merge-requests\/(\d{1,9})\/(?:head|merge|train)$/.exec(ref) ?? [];
  if (iid === undefined) return undefined;
  const found = { pipeline: id, commit: sha, iid: Number(iid), url: web_url };
  if (source === "merge_request_event") return found;
  if (source !== "parent_pipeline") return undefined;
  // A child, which has built images: of the merge request's newest pipeline, and not of a branch with such a name.
  const { head_pipeline } = await client.get(
    `${place}/merge_requests/${iid}`,
    mergeRequestSchema,
  );
  return head_pipeline?.sha === sha ? found : undefined;
}

/**
 * Fetches the preview that a job left among its artifacts.
 *
 * @param path of the document among them
 * @throws {GitlabError} for a document that is missing, too large or none.
 */
export async function fetchPreview(
  client: GitlabClient,
  project: string,
  job: number,
  path: string,
): Promise<PreviewDocument> {
  const file = path.split("/").map(segment).join("/");
  try {
    const text = await client.file(
      `projects/${segment(project)}/jobs/${job}/artifacts/${file}`,
      longestDocumentBytes,
    );
    return parsePreviewDocument(text, `${path} of job ${job}`);
  } catch (error) {
    if (!(error instanceof GitlabError && error.status === 404)) throw error;
    throw new GitlabError(
      `Job ${job} has no ${path} among its artifacts: it ended before it wrote one, or they have expired. Run that job again.`,
      404,
    );
  }
}

/** A preview that failed says why in its document. */
function hasEnded(status: string): boolean {
  return status === "success" || status === "failed";
}
