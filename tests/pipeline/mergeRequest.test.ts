/**
 * Merge requests, by the project's own pipeline file. Images that have to be built cannot be: the archive is the test's, whose
 * apt-get fetches nothing. tests/pipeline/build.test.ts has jobs that come to a good end. The tests are one story.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { variant } from "../declaredProject.ts";
import { PipelineProject, sources } from "./pipelineProject.ts";

const [tiny, other] = ["debian-13-tiny-amd64", "debian-13-other-amd64"];

describe("a merge request", { timeout: 300_000 }, () => {
  let project: PipelineProject;
  let base = "";
  const mergeRequest = () => ({
    ...sources.mergeRequest,
    CI_MERGE_REQUEST_DIFF_BASE_SHA: base,
  });
  const childJobs = async () => {
    const child = parse(await project.artifact("images.child.yml")) as object;
    return Object.keys(child).filter(
      (name) => !["workflow", "stages", "default"].includes(name),
    );
  };

  beforeAll(async () => {
    project = await PipelineProject.make();
    base = await project.git("rev-parse", "HEAD");
    await project.git("checkout", "--quiet", "-b", "change");
  });

  afterAll(() => project.remove());

  it("runs lint, tests, builds, preview and note, and nothing that publishes", async () => {
    const jobs = await project.jobs(mergeRequest());
    expect(jobs.map(({ name }) => name)).toEqual([
      ...["lint", "tests", "affected", "images", "preview", "note"],
    ]);
  });

  it("that changes one image builds that one, in a pipeline that it made itself", async () => {
    const disk = { sizeGiB: 4 };
    const bootCheck = { ...variant.bootCheck, diskSizeGiB: 4 };
    await project.setVariant({ disk, bootCheck });
    await project.commit("Enlarge an image");
    const { exitCode, output } = await project.pipeline(
      mergeRequest(),
      "affected",
    );
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(
      /debian-13-tiny-amd64 +amd64 +disk.sizeGiB: 3, now 4/,
    );
    expect(await childJobs()).toEqual([
      ...[`build: ${tiny}`, "summary", "preview"],
    ]);
  });

  it("fails with an image that fails, whose summary says what broke", async () => {
    const text = await project.artifact("images.child.yml");
    const { exitCode, output } = await project.child(text);
    expect(exitCode, output).toBe(1);
    expect(output).toMatch(/debian-13-tiny-amd64 +- +FAILED +build/);
    expect(output).toContain("The log's last lines:");
  });

  it("passes with an image that fails where its definition lets it", async () => {
    await project.setVariant({
      disk: { sizeGiB: 4 },
      bootCheck: { ...variant.bootCheck, diskSizeGiB: 4 },
      allowFailure: true,
    });
    await project.commit("Let the image fail");
    const affected = await project.pipeline(mergeRequest(), "affected");
    expect(affected.exitCode, affected.output).toBe(0);
    const text = await project.artifact("images.child.yml");
    const { exitCode, output } = await project.child(
      text,
      ...[`build: ${tiny}`, "summary"],
    );
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(
      /WARN.*build: debian-13-tiny|build: debian-13-tiny.*WARN/,
    );
  });

  it("is previewed with the variables that GitLab gives it, which are no secrets: against an empty state", async () => {
    await project.setVariables({ PULUMI_BACKEND_URL: "" });
    const { exitCode, output } = await project.pipeline(
      { ...mergeRequest(), CI_MERGE_REQUEST_IID: "7" },
      ...["preview", "note"],
    );
    expect(exitCode, output).toBe(0);
    expect(await project.artifact("note.md")).toContain("empty state");
    expect(JSON.parse(await project.artifact("preview.json"))).toMatchObject({
      ...{ state: "empty", isComplete: true },
    });
    await project.setVariables({});
  });

  it("that changes a shared input builds every image that has it, and says which input that was", async () => {
    await project.write(
      "image-definitions/fai/package_config/TINY",
      "PACKAGES install\nhello\n",
    );
    await project.commit("Add a package to both");
    const { exitCode, output } = await project.pipeline(
      mergeRequest(),
      "affected",
    );
    expect(exitCode, output).toBe(0);
    expect(output).toContain(
      `image-definitions/fai/package_config/TINY has changed. Reaches 2 images: ${other}, ${tiny}.`,
    );
    expect(await childJobs()).toEqual([
      ...[`build: ${other}`, `build: ${tiny}`, "summary", "preview"],
    ]);
  });

  it("that changes no image has a child that says so", async () => {
    await project.git("checkout", "--quiet", "main");
    await project.git("checkout", "--quiet", "-b", "words");
    await project.write("README.md", "Words.\n");
    await project.write(
      "image-definitions/fai/package_config/UNUSED",
      "PACKAGES install\n",
    );
    await project.commit("Change what no key covers");
    const affected = await project.pipeline(mergeRequest(), "affected");
    expect(affected.exitCode, affected.output).toBe(0);
    expect(affected.output).toContain("The change reaches no image");
    expect(await childJobs()).toEqual(["nothing to build"]);
    const text = await project.artifact("images.child.yml");
    const { exitCode, output } = await project.child(text);
    expect(exitCode, output).toBe(0);
    expect(output).toContain("nothing has to be built");
  });

  it("whose target cannot say its keys builds everything, and says why", async () => {
    await project.git("checkout", "--quiet", "main");
    await project.git("rm", "--quiet", "scripts/lib/ci/sources.ts");
    base = await project.commit("Be mute");
    await project.git("revert", "--no-edit", "HEAD");
    const { exitCode, output } = await project.runScript("ci.ts", [
      ...["affected", "--base", base, "--stack", "mine"],
    ]);
    expect(exitCode, output).toBe(0);
    expect(output).toContain(
      "The sources before the change do not say their keys",
    );
    expect(output).toContain("Reaches 2 images");
  });

  it("leaves no worktree behind, and names a base that is none", async () => {
    expect(await project.git("worktree", "list")).not.toContain("\n");
    for (const ref of ["0000000", "--help", "main; id"]) {
      const { exitCode, output } = await project.runScript("ci.ts", [
        ...["affected", `--base=${ref}`, "--stack", "mine"],
      ]);
      expect(exitCode, output).toBe(1);
      expect(output).toMatch(/names no commit|no commit in common/);
    }
  });
});
