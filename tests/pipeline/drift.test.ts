/** Drift by the real engine: told from what an up would do anyway, place by place, with JUnit and one issue. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestGitlab } from "../doubles/gitlab/testGitlab.ts";
import { type EngineEnd, EngineProject } from "../engineProject.ts";
import { GitlabApi, type GitlabApiProject } from "../servers/gitlabApi.ts";
import { noStateVariables, runCi, stateVariables } from "./ciCommand.ts";

const noteToken = "glpat-writes-issues";
const password = "correct-horse-battery-staple";

let gitlab: TestGitlab;
let api: GitlabApi;
let images: GitlabApiProject;
let project: EngineProject;
const seen: string[] = [];

beforeAll(async () => {
  gitlab = await TestGitlab.create();
  api = await GitlabApi.start();
  images = api.addProject(42, "team/images");
  api.addToken(noteToken, images);
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
  await project.configure({
    directory: { path: "public", formats: ["qcow2"] },
    gitlab: {
      url: "https://gitlab.example",
      group: 42,
      image: {
        ...{ path: "images", settings: { description: "one" } },
        variables: [{ key: "PASSWORD", value: "x".repeat(8), masked: true }],
      },
    },
  });
  await pulumi(
    ...["config", "set", "--secret", "--path"],
    ...["cloud-images:gitlab.image.variables[0].value", password],
  );
  await project.prepareBuilds("20261121-1", {
    ...{ sizeBytes: 3 * 2 ** 20, pieces: [] },
  });
  await pulumi("up", "--yes");
});

afterAll(async () => {
  await project?.remove();
  await api?.[Symbol.asyncDispose]();
  await gitlab?.[Symbol.asyncDispose]();
});

async function pulumi(...args: string[]): Promise<void> {
  const { exitCode, output } = await project.run(args, gitlab.env);
  expect(exitCode, output).toBe(0);
}

interface Looked extends EngineEnd {
  readonly junit: string;
}

async function look(
  pipeline: number,
  changes: Readonly<Record<string, string>> = {},
): Promise<Looked> {
  const junit = project.path("reports/mine.xml");
  await rm(junit, { force: true });
  const end = await runCi(
    project,
    ["drift", "mine", "--junit", project.path("reports")],
    {
      ...{ ...stateVariables(project), ...gitlab.env },
      CI_API_V4_URL: api.url,
      CI_PROJECT_ID: "42",
      CI_PIPELINE_ID: String(pipeline),
      CLOUD_IMAGES_NOTE_TOKEN: noteToken,
      ...changes,
    },
  );
  const text = await readFile(junit, "utf8").catch(() => "");
  seen.push(end.output, text);
  return { ...end, junit: text };
}

/** Alters one thing of each type by hand. */
function alter(name: string, change: Readonly<Record<string, string>>): void {
  gitlab.change((world) => {
    const token = Object.keys(world.things).find((each) =>
      each.endsWith(`:${name}`),
    );
    const things = world.things[token ?? ""] ?? {};
    for (const id of Object.keys(things)) {
      things[id] = { ...things[id], ...change };
    }
  });
}

const published = () => project.path("public/trixie/daily/20261121-1");

test("a stack that nobody altered is clean, and no issue is written", {
  timeout: 300_000,
}, async () => {
  const { exitCode, output, junit } = await look(1);
  expect(exitCode, output).toBe(0);
  expect(junit).toMatch(/<testsuites tests="3" failures="0" errors="0"/);
  expect(junit).toContain('name="directory"');
  expect(junit).toContain('name="images"');
  expect(junit).toContain('name="gitlab image"');
  expect(images.issues).toEqual([]);
});

test("what the program wants anew is no drift", {
  timeout: 300_000,
}, async () => {
  await project.write(
    "image-definitions/fai/package_config/TINY",
    "PACKAGES install\nvim\n",
  );
  const { exitCode, output } = await look(2);
  await project.write(
    "image-definitions/fai/package_config/TINY",
    "PACKAGES install\n",
  );
  expect(exitCode, output).toBe(0);
});

test("files that went, settings and secrets that were altered are drift: a failed case for each place, and one issue", {
  timeout: 300_000,
}, async () => {
  await rm(published(), { recursive: true });
  alter("Project", { description: "/close @everyone </details>" });
  alter("ProjectVariable", { value: "another-secret-value" });
  const { exitCode, output, junit } = await look(3);
  expect(exitCode, output).toBe(1);
  expect(junit).toMatch(/<testsuites tests="3" failures="2" errors="0"/);
  expect(junit).toMatch(
    /name="directory" time="0">\s*<failure message="1 resource is not what it was made">/,
  );
  expect(junit).toContain("SHA512SUMS is missing");
  expect(junit).toContain(
    "gitlab-image (gitlab:index/project:Project) is altered",
  );
  expect(junit).toContain("gitlab-image-variable-PASSWORD");
  const [issue, ...others] = images.issues;
  expect(others).toEqual([]);
  expect(issue).toMatchObject({
    ...{ title: "Drift in the stack mine", state: "opened", labels: ["drift"] },
  });
  expect(issue?.description).toMatch(/^<!-- cloud-images:drift stack=mine -->/);
  expect(issue?.description).toContain("| `directory` | 1 | 0 | 1 |");
  expect(issue?.description).toContain("SHA512SUMS is missing");

  await look(4);
  expect(images.issues).toHaveLength(1);
  expect(images.issues[0]?.description).toContain("pipeline 4");
  expect(images.issues[0]?.notes).toEqual([]);
});

test("what cannot be reached is said as such, and the rest is looked at all the same", {
  timeout: 300_000,
}, async () => {
  const { tokens } = gitlab.world;
  gitlab.change((world) => {
    world.tokens = {};
  });
  const { exitCode, output, junit } = await look(5);
  expect(exitCode, output).toBe(1);
  expect(junit).toMatch(/<testsuites tests="3" failures="1" errors="1"/);
  expect(junit).toMatch(
    /name="gitlab image" time="0">\s*<error message="could not be reached">.*401 Unauthorized/,
  );
  expect(images.issues[0]?.description).toContain("**Not looked at**");
  gitlab.change((world) => {
    world.tokens = tokens;
  });
});

test("a stack that was put right closes its issue, and the next drift opens it again", {
  timeout: 300_000,
}, async () => {
  await pulumi("up", "--yes", "--refresh");
  const clean = await look(6);
  expect(clean.exitCode, clean.output).toBe(0);
  expect(images.issues[0]).toMatchObject({ state: "closed" });
  expect(images.issues[0]?.notes.map(({ body }) => body)).toEqual([
    "Pipeline 6 found everything as it was made.",
  ]);

  gitlab.change((world) => {
    world.tokens = {};
  });
  const unseen = await look(7);
  gitlab.change((world) => {
    world.tokens = { [gitlab.token]: ["api"] };
  });
  expect(unseen.exitCode, unseen.output).toBe(2);
  expect(images.issues[0]?.state).toBe("closed");

  await rm(published(), { recursive: true });
  const again = await look(8);
  expect(again.exitCode, again.output).toBe(1);
  expect(images.issues).toHaveLength(1);
  expect(images.issues[0]).toMatchObject({ state: "opened" });
  expect(api.quickActions).toEqual([]);
});

test("a look that fails is no drift", { timeout: 300_000 }, async () => {
  const noState = await runCi(project, ["drift", "mine"], {
    ...noStateVariables(project),
  });
  expect(noState.exitCode).toBe(2);
  expect(noState.output).toMatch(
    /The state of the stack mine is out of reach: give this job PULUMI_BACKEND_URL/,
  );
  await project.write("image-definitions/more.yaml", "nonsense: 3\n");
  const broken = await look(9);
  await rm(project.path("image-definitions/more.yaml"));
  expect(broken.exitCode).toBe(2);
  expect(broken.output).toContain("image-definitions/more.yaml:1");
  expect(broken.junit).toMatch(
    /tests="1" failures="0" errors="1"[\s\S]*image-definitions\/more.yaml:1/,
  );
  expect(images.issues[0]?.state).toBe("opened");
});

test("no secret is in anything that was printed or written", () => {
  const all = [...seen, ...images.issues.map((each) => each.description)].join(
    "\n",
  );
  for (const secret of [password, "another-secret-value", noteToken]) {
    expect(all).not.toContain(secret);
  }
});
