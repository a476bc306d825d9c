/** Notes by the release project: started by an event, from an artifact that anybody may have made. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";
import {
  GitlabApi,
  type GitlabApiProject,
  type Job,
} from "../servers/gitlabApi.ts";
import { sampleDocument } from "./samples.ts";

const token = "glpat-of-the-release-project";
const sha = "0123456789abcdef0123456789abcdef01234567";

let gitlab: GitlabApi;
let images: GitlabApiProject;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "webhook-"));
  gitlab = await GitlabApi.start();
  images = gitlab.addProject(42, "team/images");
  gitlab.addToken(token, images);
  images.mergeRequest(7);
});

afterEach(async () => {
  await gitlab[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function addPipeline(
  id: number,
  jobs: readonly Job[],
  changes: { readonly ref?: string; readonly source?: string } = {},
): void {
  images.pipelines.set(id, {
    ...{ id, sha, jobs, status: "success" },
    ...{ ref: "refs/merge-requests/7/head", source: "merge_request_event" },
    ...changes,
  });
}

const previewJob = (text: string, changes: Partial<Job> = {}): Job => ({
  ...{ id: 900, name: "preview", status: "success" },
  artifacts: { "preview/preview.json": text },
  ...changes,
});

/** As GitLab sends it, with what the trigger puts over it. */
const eventOf = (job: number, changes: object = {}) => ({
  ...{ object_kind: "deployment", status: "success", deployable_id: job },
  ...{ environment: "preview/7", short_sha: "ffffffff" },
  project: { id: 42, path_with_namespace: "team/images" },
  ...{ ref: "main", id: "5", variables: {} },
  ...changes,
});

async function note(
  payload: object | string,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = ["--from-webhook"],
): Promise<{ exitCode: number; output: string }> {
  const file = join(directory, "payload");
  await writeFile(
    file,
    typeof payload === "string" ? payload : JSON.stringify(payload),
  );
  const program = `
    const { run } = await import(${JSON.stringify(projectPath("scripts/lib/ci/note.ts"))});
    try { process.exitCode = await run(${JSON.stringify(args)}); }
    catch (error) { console.error(error.message); process.exitCode = 1; }`;
  const { exitCode = -1, all } = await execa(
    process.execPath,
    ["--input-type=module", "--eval", program],
    {
      ...{ all: true, reject: false, extendEnv: false },
      env: {
        PATH: process.env.PATH,
        CI_API_V4_URL: gitlab.url,
        CLOUD_IMAGES_IMAGE_PROJECT: "42",
        CLOUD_IMAGES_NOTE_TOKEN: token,
        TRIGGER_PAYLOAD: file,
        ...env,
      },
    },
  );
  expect(all).not.toContain(token);
  return { exitCode, output: all };
}

const notes = () => images.mergeRequest(7).notes.map(({ body }) => body);

test("the note is made from the artifact, for the merge request that GitLab says", async () => {
  addPipeline(50, [
    previewJob("{}", { id: 899 }),
    previewJob(JSON.stringify(sampleDocument)),
  ]);
  const { exitCode, output } = await note(eventOf(900));
  expect(exitCode, output).toBe(0);
  expect(notes()).toHaveLength(1);
  expect(notes()[0]).toContain(
    `<!-- cloud-images:preview pipeline=50 commit=${sha} -->`,
  );
  expect(notes()[0]).toContain("### Preview of `prod`: 2 images appear");
});

test("a child of the merge request's newest pipeline, which knows packages, brings the note up to date, and no other child", async () => {
  const document = JSON.stringify(sampleDocument);
  addPipeline(50, [previewJob(document)]);
  addPipeline(51, [previewJob(document, { id: 901 })], {
    source: "parent_pipeline",
  });
  await note(eventOf(900));
  const head = { id: 50, source: "merge_request_event" };
  images.mergeRequest(7).head_pipeline = { ...head, sha: "f".repeat(40) };
  expect(await note(eventOf(901))).toMatchObject({ exitCode: 0 });
  expect(notes()).toEqual([expect.stringContaining("pipeline=50")]);
  images.mergeRequest(7).head_pipeline = { ...head, sha };
  expect(await note(eventOf(901))).toMatchObject({ exitCode: 0 });
  expect(notes()).toEqual([expect.stringContaining("pipeline=51")]);
});

test("an artifact in storage elsewhere is fetched without the token", async () => {
  gitlab.isStorageElsewhere = true;
  addPipeline(50, [previewJob(JSON.stringify(sampleDocument))]);
  const { exitCode, output } = await note(eventOf(900));
  expect(exitCode, output).toBe(0);
  expect(gitlab.storageCalls).toEqual([
    { url: expect.stringContaining("/bucket/900"), hasToken: false },
  ]);
  expect(notes()).toHaveLength(1);
});

test.each([
  ["no JSON", "/close"],
  ["another form", '{"format":1,"stack":"@all\\n/close"}'],
  ["more than there is room for", `"${"x".repeat(5 * 1024 * 1024)}"`],
])(
  "an artifact with %s is refused, and nothing of it is repeated",
  async (_, text) => {
    addPipeline(50, [previewJob(text)]);
    const { exitCode, output } = await note(eventOf(900));
    expect(exitCode).toBe(1);
    expect(output).toMatch(
      /is no preview that this version|longer than 4194304 bytes/,
    );
    expect(output).not.toMatch(/close|@all|xxx/);
    expect(notes()).toEqual([]);
  },
);

test("an artifact that has expired is said as such", async () => {
  addPipeline(50, [previewJob("", { artifacts: {} })]);
  const { exitCode, output } = await note(eventOf(900));
  expect(exitCode).toBe(1);
  expect(output).toContain(
    "Job 900 has no preview/preview.json among its artifacts: it ended before it wrote one, or they have expired.",
  );
});

test("jobs of branches, other jobs and those at work get no note", async () => {
  addPipeline(50, [previewJob("{}", { id: 901 })], {
    ...{ ref: "main", source: "push" },
  });
  addPipeline(51, [previewJob("{}", { id: 902, name: "deploy" })]);
  addPipeline(52, [previewJob("{}", { id: 903, status: "running" })]);
  // A branch may have any name.
  addPipeline(53, [previewJob("{}", { id: 904 })], {
    ...{ ref: "refs/merge-requests/7/head", source: "push" },
  });
  for (const job of [901, 902, 903, 904]) {
    expect(await note(eventOf(job))).toMatchObject({ exitCode: 0 });
  }
  expect(await note(eventOf(900, { status: "running" }))).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining("has not ended"),
  });
  expect(notes()).toEqual([]);
});

test("events of other projects, other events and files that are none are refused", async () => {
  const other = {
    ...eventOf(900),
    project: { id: 43, path_with_namespace: "team/other" },
  };
  expect(await note(other)).toMatchObject({
    exitCode: 1,
    output: expect.stringContaining("is of the project 43, and not of 42"),
  });
  for (const payload of [{ object_kind: "pipeline" }, "{", "[]"]) {
    expect(await note(payload)).toMatchObject({
      exitCode: 1,
      output: expect.stringMatching(/is not JSON|is no event of a deployment/),
    });
  }
  expect(
    await note(eventOf(900), { CLOUD_IMAGES_IMAGE_PROJECT: "" }),
  ).toMatchObject({
    exitCode: 1,
    output: expect.stringContaining("CLOUD_IMAGES_IMAGE_PROJECT is missing"),
  });
  expect(gitlab.calls).toEqual([]);
});

test("a job of the merge request without the token leaves the note to the release project", async () => {
  const { exitCode, output } = await note(
    "",
    { CI_MERGE_REQUEST_IID: "7", CLOUD_IMAGES_NOTE_TOKEN: "" },
    [],
  );
  expect(exitCode).toBe(0);
  expect(output).toContain("The release project writes the note.");
  expect(gitlab.calls).toEqual([]);
});

test("one with the token writes it, in the project that the merge request is in", async () => {
  await writeFile(
    join(directory, "preview.json"),
    JSON.stringify(sampleDocument),
  );
  const { exitCode, output } = await note(
    "",
    {
      ...{ CI_MERGE_REQUEST_IID: "7", CI_MERGE_REQUEST_PROJECT_ID: "42" },
      ...{ CI_PROJECT_ID: "77", CI_PIPELINE_ID: "60", CI_COMMIT_SHA: sha },
      CLOUD_IMAGES_IMAGE_PROJECT: "",
    },
    ["--preview", directory],
  );
  expect(exitCode, output).toBe(0);
  expect(output).toContain("The note on merge request !7 is written.");
  expect(notes()[0]).toContain("pipeline=60");
});
