import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type {
  Definition,
  DefinitionName,
} from "../../infra/definitions/definition.ts";
import {
  childPipeline,
  cloudTokens,
  type PipelineShape,
} from "../../infra/pipeline/childPipeline.ts";
import { sampleDefinition } from "../store/records.ts";

const merge: PipelineShape = {
  ...{ stack: "mine", tag: "merge", inStore: false, anew: false },
};
const release: PipelineShape = {
  ...{ stack: "mine", tag: "release", inStore: true, anew: false },
};
const sample = sampleDefinition();
const jobsOf = (
  images: readonly Definition[],
  shape: PipelineShape,
): Record<string, Record<string, unknown>> =>
  parse(childPipeline(images, shape));

describe("the pipeline that builds images", () => {
  it("has a job for each, on runners of its architecture and trust", () => {
    const arm = {
      ...sample,
      name: "a" as DefinitionName,
      architecture: "arm64" as const,
    };
    const jobs = jobsOf([sample, arm], merge);
    expect(Object.keys(jobs)).toEqual([
      ...["workflow", "stages", "default"],
      ...[`build: ${sample.name}`, "build: a", "summary", "preview"],
    ]);
    expect(jobs[`build: ${sample.name}`]).toMatchObject({
      tags: ["amd64", "merge"],
      script: [
        `scripts/ci build ${sample.name} --stack mine --into .state/jobs/${sample.name}`,
      ],
    });
    expect(jobs["build: a"]?.tags).toEqual(["arm64", "merge"]);
    expect(jobs.summary).toMatchObject({
      when: "always",
      script: [`scripts/ci summary ${sample.name} a`],
    });
  });

  it("has no credentials in a merge request, and is cancelled by a newer push", () => {
    const text = childPipeline([sample], merge);
    expect(text).not.toContain("id_tokens");
    expect(text).not.toContain("--in-store");
    expect(parse(text).default.interruptible).toBe(true);
  });

  it("brings a schedule's builds into the store, with the clouds' tokens, and is not cut short", () => {
    const { default: defaults, ...jobs } = jobsOf([sample], {
      ...release,
      anew: true,
    });
    expect(defaults).toMatchObject({ interruptible: false });
    const job = jobs[`build: ${sample.name}`];
    expect(job?.id_tokens).toEqual(cloudTokens);
    expect(job?.script).toEqual([expect.stringMatching(/ --in-store --anew$/)]);
    expect(jobs.preview).toBeUndefined();
  });

  it("lets an image fail where its definition does, but not for want of a store", () => {
    const job = (allowFailure: boolean) =>
      jobsOf([{ ...sample, allowFailure }], merge)[`build: ${sample.name}`];
    expect(job(false)?.allow_failure).toBe(false);
    expect(job(true)?.allow_failure).toEqual({ exit_codes: [3] });
  });

  it("keeps what was found out for a while, and tries again where the runner was at fault alone", () => {
    const { default: defaults, ...jobs } = jobsOf([sample], merge);
    expect(jobs[`build: ${sample.name}`]?.artifacts).toEqual({
      name: sample.name,
      when: "always",
      expire_in: "14 days",
      paths: [`.state/jobs/${sample.name}/report/`],
      reports: { junit: [`.state/jobs/${sample.name}/report/**/*.xml`] },
    });
    expect(defaults?.retry).toEqual({
      max: 2,
      when: expect.not.arrayContaining(["always", "script_failure"]),
    });
  });

  it("has time for the build and every boot check", () => {
    const timeout = jobsOf([sample], merge)[`build: ${sample.name}`]?.timeout;
    const { build, bootCheck } = sample;
    const minutes =
      (build.timeoutSeconds +
        bootCheck.firmware.length * bootCheck.timeoutSeconds) /
      60;
    expect(Number.parseInt(String(timeout), 10)).toBeGreaterThan(minutes);
  });

  it("keeps caches of what is trusted differently apart", () => {
    const key = (shape: PipelineShape) =>
      jobsOf([sample], shape)[`build: ${sample.name}`]?.cache;
    expect(key(merge)).toMatchObject({ key: "merge-amd64" });
    expect(key(release)).toMatchObject({ key: "release-amd64" });
  });

  it("has one cheap job where nothing is to be built, as GitLab refuses a pipeline without jobs", () => {
    const { workflow, stages, default: _, ...jobs } = jobsOf([], merge);
    expect(workflow).toEqual({ rules: [{ when: "always" }] });
    expect(stages).toContain("build");
    expect(Object.keys(jobs)).toEqual(["nothing to build"]);
    expect(jobs["nothing to build"]).toMatchObject({
      tags: ["merge"],
      variables: { GIT_STRATEGY: "none" },
    });
  });

  it("names the container of its jobs where there is one", () => {
    const image = "registry.example/team/images/jobs:1";
    expect(jobsOf([sample], { ...merge, image }).default?.image).toBe(image);
    expect(
      jobsOf([sample], { ...merge, image: "" }).default,
    ).not.toHaveProperty("image");
  });

  it.each([
    { name: "a; rm -rf /" },
    { name: "a\n  script: [evil]" },
    { name: "$(id)" },
    { name: "-o" },
  ])("refuses an image called $name", ({ name }) => {
    const image = { ...sample, name: name as DefinitionName };
    expect(() => childPipeline([image], merge)).toThrow(
      `${JSON.stringify(name)} cannot be the name of an image`,
    );
  });

  it.each([
    { tag: "merge, release" },
    { tag: "" },
    { stack: "mine; id" },
    { image: "image\nservices: [evil]" },
  ])("refuses %o", (changes) => {
    expect(() => childPipeline([sample], { ...merge, ...changes })).toThrow(
      /cannot be the (tag|stack|container image) of a job/,
    );
  });

  it("refuses more jobs than GitLab's pipelines may have", () => {
    const many = Array.from({ length: 481 }, (_, index) => ({
      ...sample,
      name: `image-${index}` as DefinitionName,
    }));
    expect(() => childPipeline(many, merge)).toThrow(
      "481 images are more than the 480 jobs",
    );
    expect(() => childPipeline(many.slice(1), merge)).not.toThrow();
  });
});
