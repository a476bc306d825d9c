/** A pipeline's event, as a webhook of GitLab's brings it, and what its pipeline made: all of it is anybody's until it is checked. */

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

/** https://docs.gitlab.com/user/project/integrations/webhook_events/#pipeline-events */
const eventSchema = z.looseObject({
  object_kind: z.literal("pipeline"),
  object_attributes: z.looseObject({
    id: z.int().positive(),
    status: z.string(),
  }),
  project: z.looseObject({
    id: z.int().positive(),
    path_with_namespace: z.string(),
  }),
});

/** What of an event is used: everything else is asked of GitLab. */
export interface PipelineEvent {
  readonly pipeline: number;
  readonly status: string;
  readonly projectId: number;
  readonly projectPath: string;
}

/**
 * Reads an event from the file that GitLab makes of a trigger's body (TRIGGER_PAYLOAD).
 *
 * @throws {UserError} for what is no event of a pipeline.
 */
export async function readPipelineEvent(path: string): Promise<PipelineEvent> {
  const wrong = (reason: string) =>
    new UserError(
      `The file that TRIGGER_PAYLOAD names ${reason}. This job is for pipelines that a webhook on pipeline events starts; see docs/notes-and-drift.md.`,
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
  if (!parsed.success) throw wrong("is no event of a pipeline");
  const { object_attributes, project } = parsed.data;
  return {
    pipeline: object_attributes.id,
    status: object_attributes.status,
    projectId: project.id,
    projectPath: project.path_with_namespace,
  };
}

const pipelineSchema = z.looseObject({
  id: z.int(),
  sha: z.string().regex(/^[0-9a-f]{7,64}$/),
  ref: z.string(),
  status: z.string(),
  source: z.string(),
  web_url: z.string().optional(),
});

const jobSchema = z.looseObject({
  id: z.int(),
  name: z.string(),
  status: z.string(),
});

/** A merge request's pipeline, as GitLab says it. */
export interface MergeRequestPipeline extends PipelineMark {
  /** The number of the merge request. */
  readonly iid: number;
  readonly url: string | undefined;
}

/**
 * Asks GitLab of a pipeline.
 *
 * @returns `undefined` for a pipeline of no merge request
 * @throws {GitlabError} when it does not tell.
 */
export async function mergeRequestPipeline(
  client: GitlabClient,
  project: string,
  pipeline: number,
): Promise<MergeRequestPipeline | undefined> {
  const { id, sha, ref, source, web_url } = await client.get(
    `projects/${segment(project)}/pipelines/${pipeline}`,
    pipelineSchema,
  );
  // GitLab makes these references; nobody can push to them.
  const [, iid] =
    /^refs\/merge-requests\/(\d{1,9})\/(?:head|merge|train)$/.exec(ref) ?? [];
  if (iid === undefined || source !== "merge_request_event") return undefined;
  return { pipeline: id, commit: sha, iid: Number(iid), url: web_url };
}

/**
 * Fetches the preview that a job of a pipeline left among its artifacts.
 *
 * @param jobName of the pipeline file
 * @param path of the document among the job's artifacts
 * @returns `undefined` where the pipeline has no such job, or the job did not come to its end
 * @throws {GitlabError} for a document that is missing, too large or none.
 */
export async function fetchPreview(
  client: GitlabClient,
  project: string,
  pipeline: number,
  { jobName, path }: { readonly jobName: string; readonly path: string },
): Promise<PreviewDocument | undefined> {
  const place = `projects/${segment(project)}`;
  const jobs = await client.list(
    `${place}/pipelines/${pipeline}/jobs`,
    z.array(jobSchema),
  );
  const job = jobs
    .filter(({ name, status }) => name === jobName && hasEnded(status))
    .sort((one, other) => other.id - one.id)
    .at(0);
  if (job === undefined) return undefined;
  const file = path.split("/").map(segment).join("/");
  try {
    const text = await client.file(
      `${place}/jobs/${job.id}/artifacts/${file}`,
      longestDocumentBytes,
    );
    return parsePreviewDocument(text, `${path} of job ${job.id}`);
  } catch (error) {
    if (!(error instanceof GitlabError && error.status === 404)) throw error;
    throw new GitlabError(
      `Job ${job.id} (${jobName}) of pipeline ${pipeline} has no ${path} among its artifacts: it ended before it wrote one, or they have expired. Run that job again.`,
      404,
    );
  }
}

/** A preview that failed says why in its document. */
function hasEnded(status: string): boolean {
  return status === "success" || status === "failed";
}
