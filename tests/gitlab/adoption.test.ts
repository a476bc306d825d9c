/** A project that is there already, through the real engine; and what GitLab refuses. */

import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";
import { TestGitlab, thingsNamed } from "../doubles/gitlab/testGitlab.ts";
import { requireSuccess, TestProgram } from "../doubles/program.ts";

// Each brings a stack up, some of them twice.
vi.setConfig({ testTimeout: 300_000 });

const existing = {
  ...{ name: "Our images", path: "ours", namespaceId: 42 },
  pathWithNamespace: "team/ours",
  webUrl: "https://gitlab.example/team/ours",
  description: "Ten years of work",
  ciConfigPath: "ci/main.yml",
  ...{ mergeMethod: "merge", visibilityLevel: "public" },
  ...{ sharedRunnersEnabled: true, defaultBranch: "trunk" },
  ciPipelineVariablesMinimumOverrideRole: "developer",
};
const config = {
  url: "https://gitlab.example",
  image: { adopt: 60, variables: [{ key: "PLAIN", value: "clear" }] },
};

let gitlab: TestGitlab;
let program: TestProgram;

async function declare(
  declared: object,
  into: TestProgram = program,
): Promise<void> {
  await into.write(`
import { declareGitlab } from "${projectPath("infra/gitlabProgram.ts")}";
import { gitlabConfigSchema } from "${projectPath("infra/gitlab/gitlabConfig.ts")}";
const config = gitlabConfigSchema.parse(${JSON.stringify(declared)});
export const { summary } = declareGitlab(config);
`);
}

function theProject() {
  return gitlab.things("Project")["60"];
}

beforeAll(async () => {
  gitlab = await TestGitlab.create();
  program = await TestProgram.create(gitlab.env);
  gitlab.change((world) => {
    thingsNamed(world, "Project")["60"] = { ...existing };
  });
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await gitlab?.[Symbol.asyncDispose]();
});

test.each<[string, object, RegExp]>([
  [
    "a token that is unknown",
    { ...config, token: "glpat-wrong" },
    /401 Unauthorized/,
  ],
  [
    "a token that may only read",
    { ...config, token: "glpat-reader" },
    /insufficient_scope/,
  ],
  [
    "a project that there is not",
    { ...config, image: { adopt: 61 } },
    /does not exist/,
  ],
  [
    "a group that there is not",
    { ...config, group: 99, image: { path: "new" } },
    /404 Group Not Found: 99/,
  ],
  [
    "a path that is taken",
    { ...config, group: 42, image: { path: "ours" } },
    /has already been taken/,
  ],
])("%s is told in GitLab's words", async (_case, declared, message) => {
  gitlab.change((world) => {
    world.tokens["glpat-reader"] = ["read_api"];
  });
  await declare(declared);
  const up = await program.up();
  expect(up.exitCode).not.toBe(0);
  expect(up.output).toMatch(message);
  expect(theProject()).toEqual(existing);
});

test("an adopted project keeps what nobody named", async () => {
  await program[Symbol.asyncDispose]();
  program = await TestProgram.create(gitlab.env);
  await declare(config);
  const up = await program.up();
  requireSuccess(up);
  expect(theProject()).toEqual(existing);
  expect(Object.values(gitlab.things("ProjectVariable"))).toMatchObject([
    { project: "60", key: "PLAIN" },
  ]);
  requireSuccess(await program.up("--refresh", "--expect-no-changes"));
});

test("what is named of it changes, and nothing else does", async () => {
  const settings = { mergeMethod: "ff", sharedRunnersEnabled: false };
  await declare({ ...config, image: { ...config.image, settings } });
  requireSuccess(await program.up());
  expect(theProject()).toMatchObject({ ...existing, ...settings });
});

test("what others change of it is theirs, but for what was named", async () => {
  gitlab.change((world) => {
    Object.assign(thingsNamed(world, "Project")["60"] ?? {}, {
      ...{ description: "Eleven years of work", mergeMethod: "merge" },
    });
  });
  requireSuccess(await program.up("--refresh"));
  expect(theProject()).toMatchObject({
    ...{ description: "Eleven years of work", mergeMethod: "ff" },
    ciConfigPath: existing.ciConfigPath,
  });
});

test("another project in its place is made beside it", async () => {
  await declare({ ...config, group: 42, image: { path: "images" } });
  requireSuccess(await program.up());
  expect(
    Object.values(gitlab.things("Project")).map(({ path }) => path),
  ).toEqual(["ours", "images"]);
  expect(theProject()?.mergeMethod).toBe("ff");
  await program.pulumi("state", "unprotect", "--all", "--yes");
  await declare(config);
  requireSuccess(await program.up());
});

test("it stays when the stack goes", async () => {
  const destroy = await program.pulumi("destroy", "--yes", "--skip-preview");
  requireSuccess(destroy);
  expect(theProject()).toMatchObject({ path: "ours" });
  expect(theProject()?.archived ?? false).toBe(false);
  expect(gitlab.things("ProjectVariable")).toEqual({});
});

test("settings may be named from the first", async () => {
  const settings = { squashOption: "always" };
  await declare({ ...config, image: { ...config.image, settings } });
  const up = await program.up();
  requireSuccess(up);
  expect(theProject()).toMatchObject({ ...settings, path: "ours" });
});

test("schedules wait until variables may be set", async () => {
  const role = "ciPipelineVariablesMinimumOverrideRole";
  await using other = await TestProgram.create(gitlab.env);
  const change = (allowed: string) =>
    gitlab.change((world) => {
      const projects = thingsNamed(world, "Project");
      projects["61"] = {
        ...(projects["61"] ?? existing),
        ...{ path: "closed", pathWithNamespace: "team/closed" },
        [role]: allowed,
      };
    });
  const schedulesOf = (project: string) =>
    Object.values(gitlab.things("PipelineSchedule")).filter(
      (each) => each.project === project,
    );
  const adopted = (changes: object) => ({
    ...config,
    image: { adopt: 61, ...changes },
  });

  change("no_one_allowed");
  await declare(adopted({}), other);
  for (const command of ["preview", "up"]) {
    const refused = await other.pulumi(
      command,
      ...(command === "up" ? ["--yes"] : []),
    );
    expect(refused.exitCode).not.toBe(0);
    expect(refused.output).toContain(
      `cloud-images:gitlab.image.settings.${role} is missing, and the adopted project has no_one_allowed`,
    );
    expect(schedulesOf("61")).toEqual([]);
  }

  await declare(adopted({ settings: { [role]: "maintainer" } }), other);
  requireSuccess(await other.up());
  expect(schedulesOf("61")).toHaveLength(3);

  // By hand, so that the stack does not know.
  change("no_one_allowed");
  const schedules = {
    daily: { cron: "14 14 * * *", variables: { FRESH: "1" } },
  };
  await declare(
    adopted({ settings: { [role]: "maintainer" }, schedules }),
    other,
  );
  const late = await other.up();
  expect(late.exitCode).not.toBe(0);
  expect(late.output).toMatch(/pipeline_schedules\/variables: 403 .*Forbidden/);
  requireSuccess(await other.up("--refresh"));
  expect(schedulesOf("61")).toMatchObject([{ description: "daily" }]);
});
