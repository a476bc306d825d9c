/** What GitLab knows of a runner, by its API. */

import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { PublicationError, UserError } from "../errors.ts";

/** A runner or one of its managers, in the words of the API. */
const contactSchema = z.object({
  /** The last contact that was noted; `null` when there was none. */
  contacted_at: z.iso.datetime({ offset: true }).nullable(),
});
type Contact = z.output<typeof contactSchema>;

export interface ReportedRunner extends Contact {
  /**
   * One for each machine that has the runner's token, and for a week (STALE_TIMEOUT of GitLab's sources) also for those that
   * are gone; `undefined` where GitLab does not tell.
   */
  readonly managers?: readonly Contact[] | undefined;
}

/** Where the API is, and who asks. */
export interface RunnerApi {
  /** With `/api/v4` at its end. */
  readonly api: string;
  /** That of the environment when left out. */
  readonly token?: string | undefined;
}

/** GitLab that is upgraded answers with 502 or 503 for a while. */
const attempts = 4;

/** Between attempts, where GitLab does not say how long, and the longest that is waited for it. */
const pauseSeconds = 2;
const longestPauseSeconds = 60;

/** An answer that takes longer does not come. */
const patienceMilliseconds = 30_000;

/**
 * Looks at a runner, and at the machines that it is on.
 *
 * @returns `undefined` when GitLab has no such runner
 * @throws {UserError} when the token is missing, or not good enough.
 * @throws {PublicationError} when GitLab does not answer as it should.
 */
export async function findRunner(
  access: RunnerApi,
  id: string,
): Promise<ReportedRunner | undefined> {
  const runner = await tell(access, id, "");
  if (runner === undefined) return undefined;
  // The same right as for the runner, and no pages; an older GitLab has no such address.
  const managers = await tell(access, id, "/managers");
  return {
    ...contactSchema.parse(runner),
    managers: z.array(contactSchema).optional().parse(managers),
  };
}

/** What the API has there, or `undefined` when it has nothing. */
async function tell(
  { api, token = process.env.GITLAB_TOKEN }: RunnerApi,
  id: string,
  part: "" | "/managers",
): Promise<unknown> {
  if (token === undefined || token === "") {
    throw new UserError(
      "The runners' state cannot be asked for without a token: set GITLAB_TOKEN, or cloud-images:gitlab.token (docs/gitlab.md).",
    );
  }
  const url = `${api}/runners/${encodeURIComponent(id)}${part}`;
  const answer = await ask(url, token);
  if (answer.status === 404) return undefined;
  if (answer.status === 401 || answer.status === 403) {
    throw new UserError(
      `${api} refused to tell about runner ${id} (${answer.status}): its token needs the scope api, and the role Owner of the runner's group or Maintainer of its project.`,
    );
  }
  if (!answer.ok) {
    throw new PublicationError(
      `${api} answered ${answer.status} when it was asked about runner ${id}. Try again.`,
    );
  }
  return answer.json();
}

/** One question, again where GitLab asks for that. */
async function ask(url: string, token: string): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url, {
      headers: { "PRIVATE-TOKEN": token },
      signal: AbortSignal.timeout(patienceMilliseconds),
    }).catch((error: unknown) => {
      throw new PublicationError(`${url} cannot be reached. Try again.`, {
        cause: error,
      });
    });
    const isBusy = answer.status === 429 || answer.status >= 500;
    if (!isBusy || attempt === attempts) return answer;
    await answer.body?.cancel();
    const asked = Number(answer.headers.get("retry-after") ?? pauseSeconds);
    const seconds = Number.isFinite(asked) ? asked : pauseSeconds;
    await sleep(Math.min(seconds, longestPauseSeconds) * 1000);
  }
}
