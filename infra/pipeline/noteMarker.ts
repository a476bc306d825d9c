/** How a note of ours is known among all others: by a comment that nobody sees, and by its author. Pure. */

/** Which pipeline wrote a note. */
export interface PipelineMark {
  /** The id that it has in all of GitLab: a later pipeline has a higher one. */
  readonly pipeline: number;
  /** Its commit, in hex. */
  readonly commit: string;
}

/** A note, as GitLab tells of it. */
export interface FoundNote {
  readonly id: number;
  readonly body: string;
  readonly authorId: number;
}

/** A note of ours. */
export interface OwnNote extends PipelineMark {
  readonly id: number;
  readonly body: string;
}

const pattern =
  /^<!-- cloud-images:preview pipeline=(\d{1,15}) commit=([0-9a-f]{7,64}) -->/;

/** Begins each note. */
export function markerOf({ pipeline, commit }: PipelineMark): string {
  return `<!-- cloud-images:preview pipeline=${pipeline} commit=${commit} -->`;
}

/** Those among notes that we wrote, the oldest first. Others may copy the comment, so the author decides. */
export function ownNotes(
  notes: readonly FoundNote[],
  ownId: number,
): readonly OwnNote[] {
  return notes
    .flatMap(({ id, body, authorId }) => {
      const [, pipeline, commit] = pattern.exec(body) ?? [];
      return authorId === ownId &&
        pipeline !== undefined &&
        commit !== undefined
        ? [{ id, body, pipeline: Number(pipeline), commit }]
        : [];
    })
    .sort((one, other) => one.id - other.id);
}

/** What is to be done next. */
export type NoteStep =
  | { readonly do: "create" }
  | { readonly do: "update"; readonly id: number }
  | { readonly do: "remove"; readonly id: number }
  /** Somebody newer has written it, or it says just that already. */
  | { readonly do: "nothing"; readonly newer?: number };

/**
 * What brings the notes of a merge request to what they should be: one, the oldest, with what the newest pipeline says. Two
 * pipelines that both made one decide the same, whoever comes first: the older note stays, and each takes its own away that is
 * not that. A note that a newer pipeline has made is left to it.
 */
export function nextStep(
  own: readonly OwnNote[],
  mark: PipelineMark,
  body: string,
): NoteStep {
  const [first, ...others] = own;
  const newest = Math.max(...own.map(({ pipeline }) => pipeline));
  if (first === undefined) return { do: "create" };
  const isOutdone = newest > mark.pipeline;
  if (!isOutdone && first.body.trim() !== body.trim()) {
    return { do: "update", id: first.id };
  }
  const spare = others.find(({ pipeline }) => pipeline <= mark.pipeline);
  if (spare !== undefined) return { do: "remove", id: spare.id };
  return isOutdone ? { do: "nothing", newer: newest } : { do: "nothing" };
}
