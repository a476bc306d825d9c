/** A schedule's pipeline and the update after it, by the project's own file and the real engine. The tests are one story. */

import { randomBytes } from "node:crypto";
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
  const daily = { ...sources.schedule, CLOUD_IMAGES_SCHEDULE: "daily" };
  const names = async (variables: Readonly<Record<string, string>>) =>
    (await project.jobs(variables)).map(({ name }) => name);

  beforeAll(async () => {
    project = await PipelineProject.make();
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

  it("can then be released, by exact keys", async () => {
    const { exitCode, output } = await project.pipeline(
      { ...sources.push, CLOUD_IMAGES_RELEASE_PROJECT: "team/releases" },
      "release keys",
    );
    expect(exitCode, output).toBe(0);
    const published = await listPublications(project.store);
    for (const { key } of published) expect(output).toContain(key);
  });
});
