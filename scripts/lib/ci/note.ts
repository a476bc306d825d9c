/** `scripts/ci note`: writes the note on a merge request, once, and brings it up to date in place. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "../../../infra/errors.ts";
import { noteTokenVariable } from "../../../infra/gitlab/gitlabConfig.ts";
import {
  gitlabAccessOf,
  imageProjectOf,
  mergeRequestOf,
  otherImageProjectOf,
  pipelineOf,
} from "../../../infra/pipeline/ciVariables.ts";
import {
  fetchPreview,
  mergeRequestPipeline,
  readDeploymentEvent,
} from "../../../infra/pipeline/deploymentEvent.ts";
import { GitlabClient } from "../../../infra/pipeline/gitlabClient.ts";
import { type NoteEnd, writeNote } from "../../../infra/pipeline/noteApi.ts";
import { noteText } from "../../../infra/pipeline/noteText.ts";
import {
  parsePreviewDocument,
  previewFileName,
} from "../../../infra/pipeline/previewDocument.ts";

export const usage = `scripts/ci note [--preview DIRECTORY]
scripts/ci note --from-webhook [--job NAME] [--artifact PATH]

Writes the note on a merge request from the ${previewFileName} in DIRECTORY (default: preview), or brings it up to date. In a pipeline of
a merge request that has no ${noteTokenVariable} it leaves that to the release project, whose pipeline a webhook starts: there,
--from-webhook takes ${previewFileName} from the artifacts (PATH, default: preview/${previewFileName}) of the job NAME (default: preview) that
TRIGGER_PAYLOAD tells of.`;

/** @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      preview: { type: "string", default: "preview" },
      "from-webhook": { type: "boolean", default: false },
      job: { type: "string", default: "preview" },
      artifact: { type: "string", default: `preview/${previewFileName}` },
    },
  });
  return values["from-webhook"]
    ? writeFromWebhook(values.job, values.artifact)
    : writeFromJob(values.preview);
}

/** In a pipeline of the merge request itself. */
async function writeFromJob(directory: string): Promise<number> {
  const iid = mergeRequestOf(process.env);
  if (iid === undefined) {
    console.log("This pipeline belongs to no merge request: no note.");
    return 0;
  }
  const access = gitlabAccessOf(process.env);
  if (access === undefined) {
    console.log(
      `There is no ${noteTokenVariable} here, as it should be in a pipeline that a merge request can change. The release project writes the note.`,
    );
    return 0;
  }
  const path = join(directory, previewFileName);
  const text = await readFile(path, "utf8").catch(() => {
    throw new UserError(
      `There is no ${path}. Run scripts/ci preview --into ${directory} before.`,
    );
  });
  const document = parsePreviewDocument(text, path);
  const context = pipelineOf(process.env);
  return told(
    iid,
    await writeNote(
      new GitlabClient(access),
      { project: imageProjectOf(process.env), iid },
      context,
      noteText(document, context),
    ),
  );
}

/** In a pipeline of the release project. */
async function writeFromWebhook(
  jobName: string,
  path: string,
): Promise<number> {
  const payload = process.env.TRIGGER_PAYLOAD;
  if (payload === undefined || payload === "") {
    throw new UserError(
      "TRIGGER_PAYLOAD is missing: this job is for pipelines that a webhook started. See docs/notes-and-drift.md.",
    );
  }
  const project = otherImageProjectOf(process.env);
  const access = gitlabAccessOf(process.env);
  if (access === undefined) {
    throw new UserError(
      `${noteTokenVariable} is missing. Declare it by cloud-images:gitlab.noteToken with in: release, and let this branch be protected.`,
    );
  }
  const event = await readDeploymentEvent(payload);
  if (![String(event.projectId), event.projectPath].includes(project)) {
    throw new UserError(
      `The event is of the project ${event.projectId}, and not of ${project} (CLOUD_IMAGES_IMAGE_PROJECT). Nothing was done.`,
    );
  }
  if (!["success", "failed"].includes(event.status)) {
    console.log("That job has not ended: its next event comes.");
    return 0;
  }
  const client = new GitlabClient(access);
  const found = await mergeRequestPipeline(client, project, event.job, jobName);
  if (found === undefined) {
    console.log(
      `That is no finished job ${jobName} of a merge request: no note.`,
    );
    return 0;
  }
  const document = await fetchPreview(client, project, event.job, path);
  const { iid } = found;
  const body = noteText(document, found);
  return told(iid, await writeNote(client, { project, iid }, found, body));
}

function told(iid: number, end: NoteEnd): number {
  const text = {
    written: `The note on merge request !${iid} is written.`,
    same: `The note on merge request !${iid} says that already.`,
    outdone: `A newer pipeline writes the note on merge request !${iid}: this one leaves it alone.`,
  }[end.kind];
  console.log(text);
  return 0;
}
