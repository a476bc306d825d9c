/**
 * What gitlab-ci-local passes over in silence, held against the merged YAML of the project's pipeline files: it checks that
 * against GitLab's schema whenever it reads one.
 */

import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { cloudTokens } from "../../infra/pipeline/childPipeline.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import { type Job, PipelineProject } from "./pipelineProject.ts";

const image = ".gitlab-ci.yml";
const release = "release.gitlab-ci.yml";
const keywords = ["stages", "variables", "workflow", "default", "include"];

let project: PipelineProject;
const jobs = new Map<string, Readonly<Record<string, Job>>>();
const written = new Map<string, Readonly<Record<string, unknown>>>();

beforeAll(async () => {
  project = await PipelineProject.make();
  for (const file of [image, release]) {
    const merged = await project.merged(file);
    jobs.set(
      file,
      Object.fromEntries(
        Object.entries(merged).filter(
          ([name]) => !keywords.includes(name) && !name.startsWith("."),
        ),
      ),
    );
    written.set(file, parse(await readFile(projectPath(file), "utf8")));
  }
});

afterAll(() => project.remove());

const jobsOf = (file: string) => Object.entries(jobs.get(file) ?? {});
const job = (file: string, name: string): Job =>
  jobs.get(file)?.[name] ?? expect.fail(`${file} has no job ${name}`);
const isOfMergeRequests = ({ rules = [] }: Job) =>
  rules.length === 0 ||
  rules.some(
    (rule) =>
      rule.when !== "never" &&
      (rule.if === undefined || rule.if.includes("merge_request_event")),
  );

describe.each([image, release])("%s", (file) => {
  it("has rules for every job, none of which is reached by accident", () => {
    for (const [name, { rules = [] }] of jobsOf(file)) {
      expect(rules.length, name).toBeGreaterThan(0);
      for (const rule of rules) expect(rule.if, name).toBeDefined();
    }
  });

  it("tries again for the sake of runners alone", () => {
    expect(written.get(file)?.default).toMatchObject({
      retry: { when: expect.not.arrayContaining(["always", "script_failure"]) },
    });
  });

  it("lets no artifact stay for ever", () => {
    for (const [name, { artifacts }] of jobsOf(file)) {
      if (artifacts !== undefined) {
        expect(artifacts.expire_in, name).toBe("14 days");
      }
    }
  });

  it("names no registry, account or domain", async () => {
    const text = await readFile(projectPath(file), "utf8");
    expect(text).not.toMatch(/https?:|\.(com|org|net|io)\b/);
  });
});

describe("pipelines", () => {
  it("come from merge requests, schedules and protected branches, once each", () => {
    expect(written.get(image)?.workflow).toEqual({
      auto_cancel: { on_new_commit: "interruptible" },
      rules: [
        { if: '$CI_PIPELINE_SOURCE == "merge_request_event"' },
        {
          if: '$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_REF_PROTECTED == "true"',
        },
        {
          if: '$CI_PIPELINE_SOURCE =~ /^(push|web|api|trigger)$/ && $CI_COMMIT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"',
        },
      ],
    });
  });

  it("of releases come from the image project or people; webhooks start the note alone, and schedules the look for drift", () => {
    const { workflow } = written.get(release) as {
      workflow: { rules: { if: string }[] };
    };
    expect(workflow.rules).toHaveLength(3);
    for (const rule of workflow.rules) {
      expect(rule.if).toContain('$CI_COMMIT_REF_PROTECTED == "true"');
    }
    expect(job(release, "note").rules).toEqual([
      { if: '$CI_PIPELINE_SOURCE == "trigger" && $TRIGGER_PAYLOAD' },
    ]);
    expect(job(release, "drift").rules).toEqual([
      {
        if: '$CI_PIPELINE_SOURCE == "schedule" && $CLOUD_IMAGES_SCHEDULE == "drift"',
      },
    ]);
    for (const name of ["verify", "release"]) {
      for (const rule of job(release, name).rules ?? []) {
        expect(rule.if, name).not.toMatch(/schedule|trigger/);
      }
    }
  });
});

describe("what a merge request reaches", () => {
  const reached = () =>
    jobsOf(image).filter(([, each]) => isOfMergeRequests(each));

  it("has no token of a cloud, resource group or environment but its preview's, and only runners of its own trust", () => {
    expect(reached().map(([name]) => name)).toEqual([
      ...["lint", "tests", "affected", "images", "preview", "note"],
    ]);
    for (const [name, each] of reached()) {
      expect(each.id_tokens ?? {}, name).toEqual({});
      expect(each.environment?.name, name).toBe(
        name === "preview" ? "preview/$CI_MERGE_REQUEST_IID" : undefined,
      );
      expect(each.resource_group, name).toBeUndefined();
      if (each.trigger === undefined) {
        expect(each.tags, name).toEqual(["$CLOUD_IMAGES_MERGE_TAG"]);
      }
    }
  });

  it("names no variable that could be a credential", () => {
    const text = JSON.stringify(reached());
    expect(text).not.toMatch(
      /TOKEN|PASSPHRASE|SECRET|PASSWORD|CREDENTIAL|AWS_|GOOGLE_|AZURE_|scripts\/(up|pulumi)|ci update|ci release|--in-store/,
    );
  });

  it("ends when a newer push comes", () => {
    for (const [name, each] of reached()) {
      expect(each.interruptible, name).toBe(true);
    }
  });
});

describe("what publishes", () => {
  const publishing = ["scheduled update", "update"];

  it.each(publishing)(
    "%s: one at a time, to an environment, never cut short",
    (name) => {
      expect(job(image, name)).toMatchObject({
        ...{ resource_group: "update", tags: ["$CLOUD_IMAGES_RELEASE_TAG"] },
        environment: { name: "$CLOUD_IMAGES_STACK" },
        id_tokens: cloudTokens,
      });
      expect(job(image, name).interruptible ?? false).toBe(false);
    },
  );

  it("updates also where images failed: what is good is published", () => {
    expect(job(image, "scheduled update").rules).toMatchObject([
      { when: "always" },
    ]);
  });

  it("asks for a protected branch", () => {
    for (const name of ["update", "release keys", "release"]) {
      for (const rule of job(image, name).rules ?? []) {
        expect(rule.if, name).toContain('$CI_COMMIT_REF_PROTECTED == "true"');
      }
    }
  });

  it("looks for drift of all that it brings up, while nothing is being changed", () => {
    expect(job(image, "drift")).toMatchObject({
      resource_group: "update",
      script: ["scripts/ci drift $CLOUD_IMAGES_FOLLOWERS --junit drift"],
    });
    expect(job(release, "drift")).toMatchObject({
      resource_group: "release",
      script: [expect.stringContaining("scripts/ci drift")],
    });
  });

  it("brings stacks up as the branch is by then", () => {
    for (const name of publishing) {
      expect(job(image, name).before_script, name).toEqual([
        'git fetch --quiet --depth 1 origin "$CI_COMMIT_BRANCH"',
        "git checkout --quiet --detach FETCH_HEAD",
      ]);
    }
  });

  it("has tokens of clouds in those jobs alone", () => {
    const withTokens = jobsOf(image)
      .filter(([, { id_tokens = {} }]) => Object.keys(id_tokens).length > 0)
      .map(([name]) => name);
    expect(withTokens).toEqual([
      ...["drift", "scheduled update", "update", "release keys"],
    ]);
  });
});

describe("children and other projects", () => {
  it.each(["images", "built images"])("%s: fails with its child", (name) => {
    const generator = name === "images" ? "affected" : "wanted images";
    expect(job(image, name)).toMatchObject({
      needs: [{ job: generator, artifacts: true }],
      trigger: {
        include: [{ artifact: "images.child.yml", job: generator }],
        strategy: "depend",
      },
    });
  });

  it("starts releases by hand, with the keys and nothing else", () => {
    expect(job(image, "release")).toMatchObject({
      rules: [{ when: "manual", allow_failure: true }],
      inherit: { variables: false },
      variables: { CLOUD_IMAGES_RELEASE_KEYS: "$CLOUD_IMAGES_RELEASE_KEYS" },
      trigger: {
        project: "$CLOUD_IMAGES_RELEASE_PROJECT",
        forward: { yaml_variables: true, pipeline_variables: false },
      },
    });
    expect(Object.keys(job(image, "release").variables ?? {})).toHaveLength(1);
  });

  it("verifies what is to be released before a protected environment is asked for", () => {
    const { stages } = written.get(release) as { stages: string[] };
    expect(stages.indexOf("verify")).toBeLessThan(stages.indexOf("release"));
    expect(job(release, "release")).toMatchObject({
      resource_group: "release",
      environment: { name: "$CLOUD_IMAGES_RELEASE_STACK" },
    });
    expect(job(release, "note").id_tokens ?? {}).toEqual({});
  });

  it("writes notes one at a time, and never ends half-way: GitLab has no conditional writes", () => {
    expect(job(release, "note").resource_group).toBe("notes");
    const others = jobsOf(release).filter(
      ([name, { resource_group: group }]) =>
        name !== "note" && group === "notes",
    );
    expect(others).toEqual([]);
    expect(job(release, "note").interruptible ?? false).toBe(false);
  });
});
