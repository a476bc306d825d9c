/** The issue about a stack's drift, by GitLab's API: opened once, brought up to date, closed, and opened again. */

import { z } from "zod";
import { GitlabError } from "../errors.ts";
import { type DriftReport, hasDrift, isUnreachable } from "./driftReading.ts";
import {
  type DriftContext,
  issueDescription,
  issueMarker,
  issueTitle,
} from "./driftText.ts";
import { type GitlabClient, segment } from "./gitlabClient.ts";

/** Of all such issues. */
export const driftLabel = "drift";

const userSchema = z.looseObject({ id: z.int() });
const issueSchema = z.looseObject({
  iid: z.int(),
  state: z.enum(["opened", "closed"]),
  description: z.string().nullish(),
  author: z.looseObject({ id: z.int() }),
});
type Issue = z.output<typeof issueSchema>;
const anythingSchema = z.unknown();

/** What became of the issue. */
export type IssueEnd =
  | {
      readonly kind: "opened" | "reopened" | "updated" | "closed";
      readonly iid: number;
    }
  | { readonly kind: "none" };

/**
 * Brings the issue of a stack to what was found. There is one for each stack, however often it drifts: its comments tell the whole
 * story. Of two that runs side by side opened, the older one stays.
 *
 * Where something could not be reached, nobody knows that all is well: then no issue is closed.
 *
 * @param project id or full path
 * @throws {GitlabError} when GitLab refuses.
 */
export async function bringIssueUpToDate(
  client: GitlabClient,
  project: string,
  report: DriftReport,
  context: DriftContext,
): Promise<IssueEnd> {
  const place = `projects/${segment(project)}/issues`;
  const { id: ownId } = await client.get("user", userSchema);
  const own = async () =>
    ownIssues(await allIssues(client, place), report.stack, ownId);
  const [first] = await own();
  const comment = (iid: number, body: string) =>
    client.change("POST", `${place}/${iid}/notes`, { body }, anythingSchema);
  const change = (iid: number, body: Readonly<Record<string, unknown>>) =>
    client.change("PUT", `${place}/${iid}`, body, issueSchema);

  if (!hasDrift(report)) {
    if (first?.state !== "opened" || isUnreachable(report)) {
      return { kind: "none" };
    }
    // Comments come last: a run after one that lost its answer there has nothing left to do.
    await change(first.iid, { state_event: "close" });
    await comment(
      first.iid,
      `Pipeline ${context.pipeline} found everything as it was made.`,
    );
    return { kind: "closed", iid: first.iid };
  }

  const description = issueDescription(report, context);
  if (first === undefined) {
    await client.change(
      "POST",
      place,
      { title: issueTitle(report.stack), description, labels: driftLabel },
      issueSchema,
    );
    const [oldest, ...others] = await own();
    for (const { iid, state } of others) {
      if (state === "opened") await change(iid, { state_event: "close" });
    }
    if (oldest === undefined) {
      throw new GitlabError(
        `The issue about drift of ${report.stack} was opened, and is not to be found again: let the token be one that reads issues of ${project}, confidential ones included.`,
      );
    }
    return { kind: "opened", iid: oldest.iid };
  }
  if (first.state === "closed") {
    await change(first.iid, { description, state_event: "reopen" });
    await comment(first.iid, `Pipeline ${context.pipeline} found drift again.`);
    return { kind: "reopened", iid: first.iid };
  }
  await change(first.iid, { description });
  return { kind: "updated", iid: first.iid };
}

function allIssues(
  client: GitlabClient,
  place: string,
): Promise<readonly Issue[]> {
  return client.list(
    `${place}?labels=${driftLabel}&state=all&scope=all&order_by=created_at&sort=asc`,
    z.array(issueSchema),
  );
}

/** Ours for that stack, the oldest first: anybody can copy the marker, so the author decides. */
function ownIssues(
  issues: readonly Issue[],
  stack: string,
  ownId: number,
): readonly Issue[] {
  return issues
    .filter(
      ({ author, description }) =>
        author.id === ownId && description?.startsWith(issueMarker(stack)),
    )
    .sort((one, other) => one.iid - other.iid);
}
