/**
 * A change of a package list on its way: branch, pipeline, note, merge, schedule, update. By the real pipeline files, the real
 * engine, real builds and boots; gitlab-ci-local is the runner, and GitLab's API a stand-in. The tests are one story.
 */

import {
  appendFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ImageKey } from "../../infra/definitions/definition.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import { readBuild } from "../../infra/store/documents.ts";
import { PipelineProject, sources } from "../pipeline/pipelineProject.ts";
import { GitlabApi, type GitlabApiProject } from "../servers/gitlabApi.ts";
import { editFile, filesBelow, fingerprint } from "./checkout.ts";

const minutes = 60_000;
const image = "debian-13-nocloud-amd64";
/** Small, and in no image of ours. */
const newPackage = "tree";
const packageList = "image-definitions/fai/package_config/TIME_SYSTEMD";
const example = projectPath("docs/example-note.md");
const noteToken = "glpat-of-the-release-project";
const iid = 7;
/** A row of a summary. */
const builtRow = (state: string) => new RegExp(`${image} +[\\d-]+ +${state}`);

/** Debian's own images in place of a test's, from the archive of this machine. */
async function useRealImages(project: PipelineProject): Promise<void> {
  const definitions = "image-definitions";
  await rm(project.path(definitions), { recursive: true });
  await cp(projectPath(definitions), project.path(definitions), {
    recursive: true,
  });
  // Other kinds of firmware are tried by the test of the whole path.
  await editFile(
    project.path("image-definitions/debian.yaml"),
    "firmware: [bios, uefi-secure-boot, u-boot, open-firmware]",
    "firmware: [uefi-secure-boot, u-boot, open-firmware]",
  );
  await rm(project.path("bin/apt-get"));
  // What the jobs of a machine share.
  await mkdir(projectPath(".cache"), { recursive: true });
  await symlink(projectPath(".cache"), project.path(".cache"));
  await editFile(project.path(".gitignore"), "/.cache/\n", "");
  await project.configure({
    definitions: [image],
    archive: undefined,
    store: { directory: project.path("store") },
    directory: { path: project.path("public"), formats: ["qcow2"] },
  });
}

/** A note without what differs from day to day: keys, versions, times and sizes. */
function timeless(note: string): string {
  return note
    .replace(/\b[0-9a-f]{12,64}\b/g, "KEY")
    .replace(/\b20\d{6}-\d+\b/g, "VERSION")
    .replace(/\d+([.,]\d+)* (GiB|MiB)/g, "SIZE")
    .replace(
      new RegExp(`(${newPackage}\\W+)[\\d][\\w.+:~-]*`, "g"),
      "$1VERSION",
    );
}

describe("a change of a package list", { timeout: 20 * minutes }, () => {
  let project: PipelineProject;
  let gitlab: GitlabApi;
  let images: GitlabApiProject;
  let base = "";
  let before = "";
  const published = () => fingerprint(project.path("public/trixie/daily"));
  const builds = () => readdir(project.path("store/builds"));

  beforeAll(async () => {
    project = await PipelineProject.make(useRealImages);
    gitlab = await GitlabApi.start();
    images = gitlab.addProject(42, "team/images");
    gitlab.addToken(noteToken, images);
  });

  afterAll(async () => {
    await gitlab[Symbol.asyncDispose]();
    await project.remove();
  });

  /** Runs a job of the daily schedule's pipeline. */
  async function scheduled(job: string): Promise<void> {
    const variables = { ...sources.schedule, CLOUD_IMAGES_SCHEDULE: "daily" };
    const { exitCode, output } = await project.pipeline(variables, job);
    expect(exitCode, output).toBe(0);
  }
  const wanted = () => project.artifact("wantedIAimages/images.child.yml");
  /** As gitlab-ci-local takes failures in a child for success, it is run for itself. */
  async function buildWanted(): Promise<string> {
    const { exitCode, output } = await project.child(await wanted());
    expect(exitCode, output).toBe(0);
    return output;
  }

  it("begins with a schedule whose runner dies in a build, of which nobody gets to see anything", async () => {
    await scheduled("wanted images");
    await project.dyingChild(await wanted(), /: packages, /);
    expect(await filesBelow(project.path("store/builds"))).toEqual([]);
    expect(await filesBelow(project.path("public"))).toEqual([]);
  });

  it("finds an image that another runner has built and checked, once however often jobs are started, and published", async () => {
    expect(await buildWanted()).toMatch(builtRow("built"));
    expect(await buildWanted()).toMatch(builtRow("was there"));
    expect(await builds()).toHaveLength(1);
    await scheduled("scheduled update");
    before = await published();
    expect(before).toContain(`${image}-`);
    await scheduled("scheduled update");
    expect(await published()).toBe(before);
  });

  it("builds and boots what it reaches, in its merge request, and publishes nothing", async () => {
    base = await project.git("rev-parse", "HEAD");
    await project.git("checkout", "--quiet", "-b", "tree");
    await appendFile(project.path(packageList), `${newPackage}\n`);
    await project.commit("Have tree in all images without chrony");
    const affected = await project.pipeline(mergeRequest(), "affected");
    expect(affected.exitCode, affected.output).toBe(0);
    expect(affected.output).toMatch(
      new RegExp(`${image} +amd64 +${packageList}`),
    );
    const child = await project.child(
      await project.artifact("affected/images.child.yml"),
    );
    expect(child.exitCode, child.output).toBe(0);
    expect(JSON.parse(await project.artifact("result.json"))).toMatchObject({
      definition: image,
      isBuiltHere: true,
    });
    expect(await published()).toBe(before);
    expect(await builds()).toHaveLength(1);
  });

  it("says in a note what merging it would do", async () => {
    const preview = await project.artifact("preview.json");
    const commit = await project.git("rev-parse", "HEAD");
    images.mergeRequest(iid).head_pipeline = {
      ...{ id: 30, source: "merge_request_event", sha: commit },
    };
    images.pipelines.set(31, {
      ...{ id: 31, sha: commit, status: "success" },
      ...{
        ref: `refs/merge-requests/${iid}/head`,
        source: "parent_pipeline",
      },
      jobs: [
        {
          ...{ id: 900, name: "preview", status: "success" },
          artifacts: { "preview/preview.json": preview },
        },
      ],
    });
    await writeFile(
      project.path("event.json"),
      JSON.stringify({
        object_kind: "deployment",
        ...{ status: "success", deployable_id: 900 },
        project: { id: 42, path_with_namespace: images.path },
      }),
    );
    const { exitCode, output } = await project.pipeline(
      {
        ...{ CI_PIPELINE_SOURCE: "trigger", CI_COMMIT_REF_PROTECTED: "true" },
        TRIGGER_PAYLOAD: project.path("event.json"),
        CI_API_V4_URL: gitlab.url,
        CLOUD_IMAGES_IMAGE_PROJECT: images.path,
        CLOUD_IMAGES_NOTE_TOKEN: noteToken,
      },
      ...["--file", "release.gitlab-ci.yml", "note"],
    );
    expect(exitCode, output).toBe(0);
    const [note, ...more] = images.mergeRequest(iid).notes;
    expect(more).toEqual([]);
    expect(note?.body).toContain(packageList);
    expect(note?.body).toContain(newPackage);
    if (process.env.CLOUD_IMAGES_UPDATE_EXAMPLES === "true") {
      await writeFile(example, `${note?.body}\n`);
    }
    // docs/notes-and-drift.md shows it: CLOUD_IMAGES_UPDATE_EXAMPLES=true writes it anew.
    expect(timeless(`${note?.body}\n`)).toBe(
      timeless(await readFile(example, "utf8")),
    );
  });

  it("is published by the schedule after its merge, beside what was there", async () => {
    await project.git("checkout", "--quiet", "main");
    await project.git("merge", "--quiet", "--no-ff", "--no-edit", "tree");
    await project.push();
    await scheduled("wanted images");
    await buildWanted();
    await scheduled("scheduled update");
    expect(await builds()).toHaveLength(2);
    const now = await published();
    const old = before.split("\n").filter((line) => /^\d{8}-/.test(line));
    expect(old.length).toBeGreaterThan(0);
    for (const line of old) expect(now).toContain(line);
    const latest = project.path("public/trixie/daily/latest");
    const manifest = await readFile(join(latest, `${image}.json`), "utf8");
    expect(manifest).toContain(`"${newPackage}"`);
  });

  it("is built again by its key, bit by bit, where the store lost it before its release", async () => {
    const released = await project.pipeline(
      { ...sources.push, CLOUD_IMAGES_RELEASE_PROJECT: "team/releases" },
      "release keys",
    );
    expect(released.exitCode, released.output).toBe(0);
    const [key = ""] = /\b[0-9a-f]{64}\b/.exec(released.output) ?? [];
    const built = await readBuild(project.store, key as ImageKey);
    const sha256 = built?.raw.sha256 ?? expect.fail(released.output);
    await project.store.discard(sha256);
    const { exitCode, output } = await project.pipeline(
      {
        ...{ CI_PIPELINE_SOURCE: "pipeline", CI_COMMIT_REF_PROTECTED: "true" },
        CLOUD_IMAGES_RELEASE_STACK: "mine",
        CLOUD_IMAGES_RELEASE_KEYS: key,
      },
      ...["--file", "release.gitlab-ci.yml", "verify"],
    );
    expect(exitCode, output).toBe(0);
    expect(output).toContain("had expired");
    expect(output).toMatch(builtRow("built again"));
    const rebuilt = await readBuild(project.store, key as ImageKey);
    expect(rebuilt?.raw.sha256).toBe(sha256);
  });

  function mergeRequest() {
    return {
      ...sources.mergeRequest,
      CI_MERGE_REQUEST_IID: String(iid),
      CI_MERGE_REQUEST_DIFF_BASE_SHA: base,
    };
  }
});
