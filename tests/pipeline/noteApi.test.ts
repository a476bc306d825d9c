/** One note on a merge request, whoever writes at the same time, by a strict stand-in for GitLab's API. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { bringIssueUpToDate } from "../../infra/pipeline/driftIssue.ts";
import type { DriftGroup } from "../../infra/pipeline/driftReading.ts";
import {
  GitlabClient,
  type GitlabPatience,
} from "../../infra/pipeline/gitlabClient.ts";
import { writeNote } from "../../infra/pipeline/noteApi.ts";
import { markerOf } from "../../infra/pipeline/noteMarker.ts";
import {
  GitlabApi,
  type GitlabApiProject,
  type GitlabUser,
  type Note,
} from "../servers/gitlabApi.ts";

const token = "glpat-secret-of-the-test";
const patience: GitlabPatience = {
  requestSeconds: 5,
  pauseSeconds: 0.05,
  longestPauseSeconds: 3,
  attempts: 4,
};

let gitlab: GitlabApi;
let project: GitlabApiProject;
let notes: Note[];
let bot: GitlabUser;

beforeEach(async () => {
  gitlab = await GitlabApi.start();
  project = gitlab.addProject(42, "team/cloud-images");
  ({ notes } = project.mergeRequest(7));
  bot = gitlab.addToken(token, project);
});

afterEach(async () => {
  await gitlab[Symbol.asyncDispose]();
});

const client = (changes: { token?: string; apiUrl?: string } = {}) =>
  new GitlabClient(
    { apiUrl: gitlab.url, token, tokenName: "NOTE_TOKEN", ...changes },
    patience,
  );

const mark = (pipeline: number) => ({ pipeline, commit: "a".repeat(40) });

const bodyOf = (pipeline: number, text = `by ${pipeline}`) =>
  `${markerOf(mark(pipeline))}\n\n${text}\n`;

function write(pipeline: number, text?: string, by = client()) {
  const id = { project: "team/cloud-images", iid: 7 };
  return writeNote(by, id, mark(pipeline), bodyOf(pipeline, text));
}

const bodies = () => notes.map(({ body }) => body.trim());

test("a note is made, brought up to date in place, and left alone when it says the same", async () => {
  expect(await write(1)).toMatchObject({ kind: "written" });
  const [first] = notes;
  expect(await write(2)).toEqual({ kind: "written", id: first?.id });
  expect(await write(2)).toEqual({ kind: "same", id: first?.id });
  expect(bodies()).toEqual([bodyOf(2).trim()]);
  expect(gitlab.callsOf("POST", /notes$/)).toHaveLength(1);
  expect(gitlab.callsOf("PUT", /notes/)).toHaveLength(1);
});

test("it is found behind pages of others' notes, and others' copies of its marker are none", async () => {
  for (let index = 0; index < 150; index += 1) gitlab.note(notes, 5, "Hello");
  gitlab.note(notes, 5, bodyOf(9, "forged"));
  await write(10);
  for (let index = 0; index < 150; index += 1) gitlab.note(notes, 5, "Hello");
  await write(11);
  const own = notes.filter(({ author }) => author.id === bot.id);
  expect(own.map(({ body }) => body)).toEqual([bodyOf(11).trim()]);
  expect(notes.filter(({ body }) => body.includes("forged"))).toHaveLength(1);
});

test("one that was deleted by hand is made again, also between the look and the change", async () => {
  await write(1);
  notes.splice(0);
  await write(2);
  expect(bodies()).toEqual([bodyOf(2).trim()]);

  gitlab.before = ({ method }) => {
    if (method === "PUT") notes.splice(0);
    return undefined;
  };
  await write(3);
  expect(bodies()).toEqual([bodyOf(3).trim()]);
});

test("an older pipeline overwrites nothing of a newer one", async () => {
  await write(5);
  expect(await write(4)).toEqual({ kind: "outdone", pipeline: 5 });
  expect(bodies()).toEqual([bodyOf(5).trim()]);
});

test("an older pipeline leaves the note to a newer one that has not written yet", async () => {
  project.mergeRequest(7).head_pipeline = {
    id: 6,
    source: "merge_request_event",
  };
  expect(await write(5)).toEqual({ kind: "outdone", pipeline: 6 });
  expect(notes).toEqual([]);
  // A pipeline of the branch writes none.
  project.mergeRequest(7).head_pipeline = { id: 7, source: "push" };
  expect(await write(6)).toMatchObject({ kind: "written" });
});

test.each([
  ["the older one first", [10, 11]],
  ["the newer one first", [11, 10]],
])(
  "of two pipelines at once one note stays, of the newer one: %s",
  async (_, pipelines) => {
    // Both have looked before either has written.
    const both = Promise.withResolvers<void>();
    let waiting = 0;
    gitlab.before = async ({ method }) => {
      if (method !== "POST" || waiting === 2) return undefined;
      waiting += 1;
      if (waiting === 2) both.resolve();
      await both.promise;
      return undefined;
    };
    await Promise.all(pipelines.map((pipeline) => write(pipeline)));
    expect(gitlab.callsOf("POST", /notes$/)).toHaveLength(2);
    expect(bodies()).toEqual([bodyOf(11).trim()]);
    expect(notes[0]?.id).toBe(Math.min(...notes.map(({ id }) => id)));
  },
);

test("a note that an older pipeline wrote after all is put right by the newer one", async () => {
  await write(1);
  let hasWritten = false;
  gitlab.before = ({ method }) => {
    if (method === "PUT" && !hasWritten) {
      hasWritten = true;
      // Comes just after that of the newer one is taken.
      setImmediate(() => {
        (notes[0] as Note).body = bodyOf(2);
      });
    }
    return undefined;
  };
  await write(3);
  expect(bodies()).toEqual([bodyOf(3).trim()]);
});

test("a token that does not let write says which scope it lacks, and shows nothing of itself", async () => {
  gitlab.addToken("glpat-reads-only-1234", project, ["read_api"]);
  const error = await write(
    1,
    undefined,
    client({ token: "glpat-reads-only-1234" }),
  ).catch((error: Error) => error);
  expect(String(error)).toMatch(/403 .*NOTE_TOKEN may not write.*scope api /);
  expect(String(error)).not.toContain("glpat-");
});

test("a token that has ended, one of a job, and a project that it does not see are told apart", async () => {
  await expect(
    write(1, undefined, client({ token: "glpat-ended-long-ago" })),
  ).rejects.toThrow(/401 .*NOTE_TOKEN has ended/);
  gitlab.jobTokens.add("job-token-of-ours");
  await expect(
    write(1, undefined, client({ token: "job-token-of-ours" })),
  ).rejects.toThrow(/CI_JOB_TOKEN cannot write notes/);
  await expect(
    writeNote(client(), { project: "team/other", iid: 7 }, mark(1), bodyOf(1)),
  ).rejects.toThrow(/404 \(404 Project Not Found\).*NOTE_TOKEN/);
  expect(notes).toEqual([]);
});

test("too many requests are followed by the pause that GitLab asks for", async () => {
  let refused = 0;
  const moments: number[] = [];
  gitlab.before = ({ method }) => {
    if (method !== "POST") return undefined;
    moments.push(Date.now());
    refused += 1;
    return refused > 2
      ? undefined
      : {
          status: 429,
          headers: { "retry-after": "1" },
          body: { message: "429 Too Many Requests" },
        };
  };
  await write(1);
  expect(bodies()).toEqual([bodyOf(1).trim()]);
  expect(moments).toHaveLength(3);
  for (const [index, moment] of moments.slice(1).entries()) {
    expect(moment - (moments[index] as number)).toBeGreaterThanOrEqual(990);
  }
});

test("a pause that is too long ends the run and says how long it is", async () => {
  gitlab.before = () => ({
    status: 429,
    headers: { "retry-after": "3600" },
    body: {},
  });
  await expect(write(1)).rejects.toThrow(
    /429.*It asks for a pause of 3600 seconds/,
  );
});

test("what passes is tried again, and a note is not made twice by that", async () => {
  let count = 0;
  gitlab.before = ({ method }) => {
    count += 1;
    if (count === 1) return { status: 502, body: "<html>" };
    if (count === 2) return "cut";
    return method === "POST" && count < 8
      ? { status: 500, body: {} }
      : undefined;
  };
  await expect(write(1)).rejects.toThrow(/POST .*: 500/);
  expect(gitlab.callsOf("POST", /notes$/)).toHaveLength(1);
});

test("a note whose answer breaks off is not made twice, and the next run goes on from it", async () => {
  gitlab.before = ({ method }) => (method === "POST" ? "broken" : undefined);
  const error = await write(1).catch((error: Error) => error);
  expect(String(error)).toMatch(
    /POST .*merge_requests\/7\/notes\): it answers 201, .* has made what was sent, .* breaks off: .* Look there .* run the job again/,
  );
  expect(gitlab.callsOf("POST", /notes$/)).toHaveLength(1);
  expect(bodies()).toEqual([bodyOf(1).trim()]);
  expect(await write(1)).toEqual({ kind: "same", id: notes[0]?.id });
});

test("other answers that break off are asked for again", async () => {
  await write(1);
  const broken = new Set<string>();
  gitlab.before = ({ method }) => {
    if (broken.has(method)) return undefined;
    broken.add(method);
    return "broken";
  };
  expect(await write(2)).toMatchObject({ kind: "written" });
  expect([...broken]).toEqual(["GET", "PUT"]);
  expect(gitlab.callsOf("PUT", /notes/)).toHaveLength(2);
  expect(bodies()).toEqual([bodyOf(2).trim()]);
});

test("an issue and its comment whose answers break off are not made twice", async () => {
  const drift = (drifted: DriftGroup["drifted"]) =>
    bringIssueUpToDate(
      client(),
      "42",
      {
        stack: "prod",
        groups: [
          {
            ...{ name: "images", resources: 1, pending: 0, drifted },
            unreachable: undefined,
          },
        ],
      },
      { pipeline: 5, lookedAt: "2026-11-21T03:00:00.000Z" },
    );
  const gone = {
    ...{ urn: "urn:x", name: "x", type: "x:y:Z" },
    ...{ kind: "gone" as const, details: [] },
  };
  gitlab.before = ({ method }) => (method === "POST" ? "broken" : undefined);
  await expect(drift([gone])).rejects.toThrow(/issues\): it answers 201/);
  expect(project.issues).toHaveLength(1);
  expect(await drift([gone])).toEqual({ kind: "updated", iid: 1 });
  await expect(drift([])).rejects.toThrow(/issues\/1\/notes\): it answers 201/);
  expect(await drift([])).toEqual({ kind: "none" });
  expect(project.issues[0]).toMatchObject({
    state: "closed",
    notes: [{ body: "Pipeline 5 found everything as it was made." }],
  });
});

test("a server that falls silent is given up after a time", async () => {
  gitlab.before = () => "silent";
  const hasty = new GitlabClient(
    { apiUrl: gitlab.url, token, tokenName: "NOTE_TOKEN" },
    { ...patience, requestSeconds: 0.3, attempts: 2 },
  );
  await expect(write(1, undefined, hasty)).rejects.toThrow(
    /there is no answer after 0.3 seconds/,
  );
});
