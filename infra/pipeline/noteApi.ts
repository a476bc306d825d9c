/** The notes of a merge request, by GitLab's API. */

import { z } from "zod";
import { GitlabError } from "../errors.ts";
import { type GitlabClient, segment } from "./gitlabClient.ts";
import {
  type FoundNote,
  nextStep,
  ownNotes,
  type PipelineMark,
} from "./noteMarker.ts";

/** Which merge request. */
export interface MergeRequestId {
  /** Id or full path of the project that it is in. */
  readonly project: string;
  /** Its number there. */
  readonly iid: number;
}

const userSchema = z.looseObject({ id: z.int() });
const noteSchema = z
  .looseObject({
    id: z.int(),
    body: z.string(),
    author: z.looseObject({ id: z.int() }),
  })
  .transform(
    ({ id, body, author }): FoundNote => ({ id, body, authorId: author.id }),
  );
const mergeRequestSchema = z.looseObject({
  head_pipeline: z
    .looseObject({ id: z.int(), source: z.string().optional() })
    .nullish(),
});

/** What became of a note. */
export type NoteEnd =
  | { readonly kind: "written"; readonly id: number }
  | { readonly kind: "same"; readonly id: number }
  /** A newer pipeline has written, or will. */
  | { readonly kind: "outdone"; readonly pipeline: number };

/** Two pipelines that write at once need three rounds; more means that somebody keeps changing it. */
const mostRounds = 8;

/**
 * Sees to it that a merge request has one note of ours, with that text, unless a newer pipeline has another one for it. Each round
 * looks at what is there and does one thing, so it makes no difference who does something in between, or deletes the note.
 *
 * @throws {GitlabError} when GitLab refuses, or the note does not stay what it is made.
 */
export async function writeNote(
  client: GitlabClient,
  { project, iid }: MergeRequestId,
  mark: PipelineMark,
  body: string,
): Promise<NoteEnd> {
  const place = `projects/${segment(project)}/merge_requests/${iid}`;
  const { id: ownId } = await client.get("user", userSchema);
  let hasWritten = false;
  for (let round = 0; round < mostRounds; round += 1) {
    // Where two pipelines run, the later one is the merge request's own before it has written anything.
    const { head_pipeline: head } = await client.get(place, mergeRequestSchema);
    // One of the branch beside it writes no note.
    const isOther = head?.source === "merge_request_event";
    if (isOther && head.id > mark.pipeline) {
      return { kind: "outdone", pipeline: head.id };
    }
    const notes = await client.list(
      `${place}/notes?sort=asc&order_by=created_at`,
      z.array(noteSchema),
    );
    const own = ownNotes(notes, ownId);
    const step = nextStep(own, mark, body);
    switch (step.do) {
      case "create":
        await client.change("POST", `${place}/notes`, { body }, noteSchema);
        hasWritten = true;
        break;
      case "update":
        hasWritten = true;
        await unlessGone(
          client.change(
            "PUT",
            `${place}/notes/${step.id}`,
            { body },
            noteSchema,
          ),
        );
        break;
      case "remove":
        await client.remove(`${place}/notes/${step.id}`);
        break;
      case "nothing": {
        if (step.newer !== undefined) {
          return { kind: "outdone", pipeline: step.newer };
        }
        const id = own[0]?.id ?? 0;
        return { kind: hasWritten ? "written" : "same", id };
      }
    }
  }
  throw new GitlabError(
    `The note on merge request !${iid} does not stay as it is written: something else writes with the same token. Let nothing else have it, and run the job again.`,
  );
}

/** A note that was deleted meanwhile is made again in the next round. */
async function unlessGone(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!(error instanceof GitlabError && error.status === 404)) throw error;
  }
}
