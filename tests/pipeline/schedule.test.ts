/** A schedule's pipeline and the update after it, by the project's own file and the real engine. The tests are one story. */

import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listPublications } from "../../infra/store/documents.ts";
import { PipelineProject, sources } from "./pipelineProject.ts";

const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [{ at: 8 * mebibyte, content: randomBytes(mebibyte) }],
};

describe("a schedule", { timeout: 300_000 }, () => {
  let project: PipelineProject;
  let store: { readonly directory: string };
  const daily = { ...sources.schedule, CLOUD_IMAGES_SCHEDULE: "daily" };
  const names = async (variables: Readonly<Record<string, string>>) =>
    (await project.jobs(variables)).map(({ name }) => name);

  beforeAll(async () => {
    project = await PipelineProject.make();
    store = { directory: project.path("store") };
    await project.prepareBuilds("20261121-0312", disk);
  });

  afterAll(() => project.remove());

  it("has the jobs of its kind, and those of drift no other", async () => {
    expect(await names(daily)).toEqual([
      ...["wanted images", "built images", "scheduled update"],
    ]);
    expect(
      await names({ ...sources.schedule, CLOUD_IMAGES_SCHEDULE: "drift" }),
    ).toEqual(["drift"]);
    expect(await names(sources.push)).toEqual([
      ...["wanted images", "built images", "update"],
    ]);
  });

  it("builds what a push reaches, and everything where nothing was before", async () => {
    const base = await project.git("rev-parse", "HEAD");
    const reached = async (before: string) => {
      const { exitCode, output } = await project.pipeline(
        { ...sources.push, CI_COMMIT_BEFORE_SHA: before },
        "wanted images",
      );
      expect(exitCode, output).toBe(0);
      return project.artifact("images.child.yml");
    };
    expect(await reached(base)).toContain("nothing to build");
    expect(await reached("0".repeat(40))).toContain("--in-store");
    // It was there before somebody pushed by force.
    expect(await reached("1".repeat(40))).toContain("--in-store");
  });

  it("builds anew once a week alone", async () => {
    const childOf = async (schedule: string) => {
      const { exitCode, output } = await project.pipeline(
        { ...daily, CLOUD_IMAGES_SCHEDULE: schedule },
        "wanted images",
      );
      expect(exitCode, output).toBe(0);
      return project.artifact("images.child.yml");
    };
    expect(await childOf("weekly")).toContain("--in-store --anew");
    const text = await childOf("daily");
    expect(text).toContain("--in-store");
    expect(text).not.toContain("--anew");
  });

  it("builds nothing that is in the store, whoever put it there: a rerun has only what is red to do", async () => {
    const text = await project.artifact("images.child.yml");
    const { exitCode, output } = await project.child(text);
    expect(exitCode, output).toBe(0);
    expect(output.match(/20261121-0312 +was there/g)).toHaveLength(4);
    expect(output).not.toContain("base system");
  });

  it("then publishes what the jobs brought into the store, and builds nothing either", async () => {
    const { exitCode, output } = await project.pipeline(
      daily,
      "scheduled update",
    );
    expect(exitCode, output).toBe(0);
    expect(output).not.toContain("base system");
    const published = await listPublications(project.store);
    expect(published.map(({ definition }) => definition.name)).toEqual([
      ...["debian-13-other-amd64", "debian-13-tiny-amd64"],
    ]);
  });

  it("finds no drift then, and names what was altered by hand", async () => {
    const drift = { ...sources.schedule, CLOUD_IMAGES_SCHEDULE: "drift" };
    const clean = await project.pipeline(drift, "drift");
    expect(clean.exitCode, clean.output).toBe(0);
    const sums = project.path("public/trixie/daily/latest/SHA512SUMS");
    const text = await readFile(sums);
    await rm(sums);
    const altered = await project.pipeline(drift, "drift");
    expect(altered.exitCode, altered.output).toBe(1);
    expect(altered.output).toContain(
      "trixie/daily/latest is not what the records give",
    );
    await writeFile(sums, text);
  });

  it("is brought up as its branch is by then, not as that was when the pipeline began", async () => {
    const began = await project.git("rev-parse", "HEAD");
    await project.configure({
      ...{ definitions: ["debian-13-*-amd64"], store },
      directory: { path: project.path("moved"), formats: ["qcow2"] },
    });
    const moved = await project.commit("Publish elsewhere");
    await project.git("reset", "--quiet", "--hard", began);
    const { exitCode, output } = await project.pipeline(sources.push, "update");
    expect(exitCode, output).toBe(0);
    expect(await readdir(project.path("moved/trixie"))).toEqual(["daily"]);
    await project.git("reset", "--quiet", "--hard", moved);
  });

  it("can then be released by another stack, by exact keys, without building or booting anything", async () => {
    const keys = await project.pipeline(
      { ...sources.push, CLOUD_IMAGES_RELEASE_PROJECT: "team/releases" },
      "release keys",
    );
    expect(keys.exitCode, keys.output).toBe(0);
    const published = await listPublications(project.store);
    for (const { key } of published) expect(keys.output).toContain(key);
    const config = project.configWith({
      ...{ definitions: ["debian-13-*-amd64"], type: "release", store },
      directory: { path: project.path("released"), formats: ["qcow2"] },
    });
    const values = Object.entries(config).map(([name, value]) => [
      name,
      JSON.parse(value) as unknown,
    ]);
    await project.write(
      "Pulumi.released.yaml",
      JSON.stringify({ config: Object.fromEntries(values) }),
    );
    await project.commit("Release");
    const { exitCode, output } = await project.pipeline(
      {
        ...{ CI_PIPELINE_SOURCE: "pipeline", CI_COMMIT_REF_PROTECTED: "true" },
        CLOUD_IMAGES_RELEASE_STACK: "released",
        CLOUD_IMAGES_RELEASE_KEYS: [
          ...new Set(published.map(({ key }) => key)),
        ].join(","),
      },
      ...["--file", "release.gitlab-ci.yml", "verify", "release"],
    );
    expect(exitCode, output).toBe(0);
    expect(output).not.toContain("base system");
    expect(await readdir(project.path("released/trixie"))).toContain(
      "20261121-0312",
    );
  });
});
