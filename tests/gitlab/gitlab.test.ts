/** GitLab's side, declared through the real engine, as a strict stand-in for GitLab shows it afterwards. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";
import { TestGitlab, thingsNamed } from "../doubles/gitlab/testGitlab.ts";
import { requireSuccess, TestProgram } from "../doubles/program.ts";

// Each brings a stack up, some of them twice.
vi.setConfig({ testTimeout: 300_000 });

const secrets = {
  password: "correct-horse-battery",
  hidden: "hidden-from-everybody",
  hook: "hook-token-of-the-chat",
};
const config = {
  url: "https://gitlab.example",
  group: 42,
  image: {
    path: "images",
    settings: { mergeMethod: "ff", ciForwardDeploymentEnabled: false },
    protectedBranches: {
      main: { push: "no one", alsoMerge: [{ group: 43 }] },
      "release/*": {},
    },
    protectedTags: { "v*": {} },
    environments: {
      review: {},
      production: {
        tier: "production",
        deploy: [{ level: "maintainer" }],
        approve: [{ group: 43, approvals: 2 }],
      },
    },
    variables: [
      { key: "PLAIN", value: "clear", protected: false },
      {
        key: "PASSWORD",
        value: secrets.password,
        masked: true,
        environment: "production",
      },
      { key: "HIDDEN", value: secrets.hidden, masked: true, hidden: true },
    ],
    schedules: {
      daily: { cron: "14 14 * * *", variables: { FRESH: "1" } },
      weekly: { cron: "14 2 * * 6", timezone: "Europe/Berlin", branch: "next" },
    },
    approvals: {},
    approvalRules: {
      reviewers: { approvals: 1, groups: [43], users: [7], branches: ["main"] },
    },
    jobTokens: { projects: ["release"] },
    webhooks: {
      chat: {
        url: "https://chat.example/hook",
        token: secrets.hook,
        events: ["pipeline"],
      },
    },
  },
  release: { path: "releases", jobTokens: { projects: ["image"] } },
  noteToken: { in: "release" },
  runners: {
    "release-amd64": {
      ...{ project: "release", tags: ["amd64", "release"], protected: true },
    },
    "shared-amd64": { tags: ["amd64", "merge"], protected: false },
    "merge-amd64": {
      ...{ project: "image", tags: ["amd64"], protected: false },
    },
  },
};

let gitlab: TestGitlab;
let program: TestProgram;

/** A program that declares GitLab alone. */
async function declare(
  into: TestProgram,
  declared: object = config,
): Promise<void> {
  await into.write(`
import { declareGitlab } from "${projectPath("infra/gitlabProgram.ts")}";
import { gitlabConfigSchema } from "${projectPath("infra/gitlab/gitlabConfig.ts")}";
const config = gitlabConfigSchema.parse(${JSON.stringify(declared)});
export const { summary } = declareGitlab(config);
`);
}

beforeAll(async () => {
  gitlab = await TestGitlab.create();
  program = await TestProgram.create(gitlab.env);
  await declare(program);
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await gitlab?.[Symbol.asyncDispose]();
});

/** The only thing of its type with these properties. */
function thing(name: string, properties: object) {
  const found = Object.values(gitlab.things(name)).filter((each) =>
    Object.entries(properties).every(([key, value]) => each[key] === value),
  );
  expect(found).toHaveLength(1);
  return found[0];
}

function projectId(path: string): string | undefined {
  const all = Object.entries(gitlab.things("Project"));
  return all.find(([, project]) => project.path === path)?.[0];
}

/** What was asked of GitLab since the last time. */
function newCalls(): readonly string[] {
  return gitlab.change((world) => world.calls.splice(0));
}

async function stateText(): Promise<string> {
  const directory = join(program.directory, "backend");
  const names = await readdir(directory, { recursive: true });
  const texts = await Promise.all(
    names
      .filter((name) => name.includes(".json"))
      .map((name) => readFile(join(directory, name), "utf8")),
  );
  return texts.join("\n");
}

/** Everything that nobody may read, those that GitLab made up as well. */
function secretTexts(): readonly string[] {
  const tokens = [
    ...["UserRunner", "ProjectAccessToken", "PipelineTrigger"],
  ].flatMap((name) =>
    Object.values(gitlab.things(name)).map(({ token }) => String(token)),
  );
  return [...Object.values(secrets), gitlab.token, ...tokens];
}

test("a preview shows all of it, touches nothing and tells no secret", async () => {
  const preview = await program.pulumi("preview", "--diff");
  requireSuccess(preview);
  expect(preview.output).toMatch(/cronTimezone *: "Europe\/Berlin"/);
  expect(newCalls()).toEqual([]);
  for (const secret of secretTexts()) {
    expect(preview.output).not.toContain(secret);
  }
});

test("an empty group gets everything that was declared", async () => {
  const up = await program.up("--show-secrets=false");
  requireSuccess(up);
  expect(up.output).toContain("https://gitlab.example/team/images");

  expect(thing("Project", { path: "images" })).toMatchObject({
    pathWithNamespace: "team/images",
    ...{ visibilityLevel: "private", mergeMethod: "ff" },
    sharedRunnersEnabled: false,
    ciPipelineVariablesMinimumOverrideRole: "maintainer",
    ...{
      ciForwardDeploymentEnabled: false,
      resourceGroupDefaultProcessMode: "oldest_first",
    },
  });
  // GitLab's own guard is on there.
  expect(
    thing("Project", { path: "releases" })?.resourceGroupDefaultProcessMode,
  ).toBeNull();
  expect(thing("BranchProtection", { branch: "main" })).toMatchObject({
    ...{ pushAccessLevel: "no one", mergeAccessLevel: "maintainer" },
    allowedToMerges: [{ groupId: 43 }],
    allowForcePush: false,
  });
  expect(thing("TagProtection", { tag: "v*" })).toMatchObject({
    createAccessLevel: "maintainer",
  });
  expect(
    thing("ProjectProtectedEnvironment", { environment: "production" }),
  ).toMatchObject({
    deployAccessLevelsAttributes: [{ accessLevel: "maintainer" }],
    approvalRules: [{ groupId: 43, requiredApprovals: 2 }],
  });
  expect(thing("ProjectVariable", { key: "PASSWORD" })).toMatchObject({
    ...{ value: secrets.password, environmentScope: "production" },
    ...{ masked: true, hidden: false, protected: true, raw: true },
  });
  expect(thing("ProjectVariable", { key: "HIDDEN" })).toMatchObject({
    ...{ value: secrets.hidden, masked: true, hidden: true },
  });
  expect(thing("PipelineSchedule", { description: "daily" })).toMatchObject({
    ...{ cron: "14 14 * * *", cronTimezone: "UTC", ref: "refs/heads/main" },
  });
  expect(thing("PipelineSchedule", { description: "weekly" })).toMatchObject({
    ...{ cronTimezone: "Europe/Berlin", ref: "refs/heads/next" },
  });
  thing("PipelineScheduleVariable", { key: "FRESH", value: "1" });
  thing("PipelineScheduleVariable", {
    key: "CLOUD_IMAGES_SCHEDULE",
    value: "weekly",
  });
  expect(thing("ProjectLevelMrApprovals", {})).toMatchObject({
    mergeRequestsAuthorApproval: false,
    mergeRequestsDisableCommittersApproval: true,
  });
  expect(thing("ProjectApprovalRule", { name: "reviewers" })).toMatchObject({
    protectedBranchIds: [
      thing("BranchProtection", { branch: "main" })?.branchProtectionId,
    ],
  });
  expect(thing("ProjectHook", { name: "chat" })).toMatchObject({
    ...{ pipelineEvents: true, pushEvents: false, token: secrets.hook },
  });
});

test("previews in the image project start pipelines of the release project, whose jobs have the token for notes", () => {
  const [imageId, releaseId] = ["images", "releases"].map(projectId);
  const { token } = thing("PipelineTrigger", { project: releaseId }) ?? {};
  expect(thing("ProjectHook", { name: "notes" })).toMatchObject({
    ...{ project: imageId, deploymentEvents: true },
    // GitLab lets these start no pipeline.
    ...{ pipelineEvents: false, pushEvents: false },
    url: `https://gitlab.example/api/v4/projects/${releaseId}/ref/main/trigger/pipeline?token=${token}`,
  });
  expect(
    thing("ProjectVariable", { key: "CLOUD_IMAGES_IMAGE_PROJECT" }),
  ).toMatchObject({ project: releaseId, value: imageId, protected: false });
});

test("each project lets in the other's jobs, and nobody else's", () => {
  const ids = Object.keys(gitlab.things("Project"));
  const scopes = gitlab.things("ProjectJobTokenScopes");
  expect(ids).toHaveLength(2);
  for (const id of ids) {
    expect(scopes[id]).toMatchObject({
      enabled: true,
      targetProjectIds: ids.filter((other) => other !== id).map(Number),
    });
  }
});

test("runners are bound to what they were made for", () => {
  const [image, release] = ["images", "releases"].map(projectId).map(Number);
  expect(thing("UserRunner", { description: "release-amd64" })).toMatchObject({
    ...{ runnerType: "project_type", projectId: release, untagged: false },
    ...{ accessLevel: "ref_protected", tagLists: ["amd64", "release"] },
  });
  expect(thing("UserRunner", { description: "merge-amd64" })).toMatchObject({
    ...{ runnerType: "project_type", projectId: image },
    accessLevel: "not_protected",
  });
  expect(thing("UserRunner", { description: "shared-amd64" })).toMatchObject({
    ...{ runnerType: "group_type", groupId: 42, accessLevel: "not_protected" },
  });
});

test("nothing in the state can be read that is a secret", async () => {
  const state = await stateText();
  expect(state).toContain("CLOUD_IMAGES_NOTE_TOKEN");
  for (const secret of secretTexts()) expect(state).not.toContain(secret);
});

test("nothing changes when nothing has", async () => {
  newCalls();
  const up = await program.up("--refresh", "--expect-no-changes");
  requireSuccess(up);
  expect(newCalls()).toEqual([]);
});

test("what somebody changed by hand shows, and is put right", async () => {
  gitlab.change((world) => {
    for (const each of Object.values(thingsNamed(world, "PipelineSchedule"))) {
      Object.assign(each, { active: false });
    }
    for (const [id, each] of Object.entries(
      thingsNamed(world, "ProjectVariable"),
    )) {
      if (each.key === "PASSWORD")
        delete thingsNamed(world, "ProjectVariable")[id];
      if (each.key === "PLAIN") Object.assign(each, { value: "changed" });
    }
    for (const each of Object.values(thingsNamed(world, "Project"))) {
      Object.assign(each, { sharedRunnersEnabled: true });
    }
    for (const each of Object.values(thingsNamed(world, "ProjectHook"))) {
      Object.assign(each, { pushEvents: true });
    }
  });
  const drift = await program.pulumi(
    ...["preview", "--refresh", "--expect-no-changes"],
  );
  expect(drift.exitCode).not.toBe(0);
  const up = await program.up("--refresh");
  requireSuccess(up);
  expect(thing("PipelineSchedule", { description: "daily" })?.active).toBe(
    true,
  );
  thing("ProjectVariable", { key: "PASSWORD" });
  expect(thing("ProjectVariable", { key: "PLAIN" })?.value).toBe("clear");
  expect(thing("ProjectHook", { name: "chat" })?.pushEvents).toBe(false);
  for (const each of Object.values(gitlab.things("Project"))) {
    expect(each.sharedRunnersEnabled).toBe(false);
  }
  for (const secret of secretTexts()) {
    expect(drift.output).not.toContain(secret);
    expect(up.output).not.toContain(secret);
  }
});

test("a token for notes is made anew before it ends, and jobs get the new one", async () => {
  const key = "CLOUD_IMAGES_NOTE_TOKEN";
  const before = thing("ProjectAccessToken", {});
  expect(before).toMatchObject({
    ...{ scopes: ["api"], accessLevel: "reporter", expiresAt: "2027-01-20" },
  });
  // Notes are written by the release project, issues by protected branches of the other one.
  const projects = ["images", "releases"].map(projectId);
  for (const project of projects) {
    expect(thing("ProjectVariable", { key, project })).toMatchObject({
      ...{ value: before?.token, masked: true, protected: true },
    });
  }
  gitlab.change((world) => {
    world.today = "2026-12-22";
  });
  requireSuccess(await program.up());
  const after = thing("ProjectAccessToken", {});
  expect(after?.expiresAt).toBe("2027-02-20");
  expect(after?.token).not.toBe(before?.token);
  for (const project of projects) {
    expect(thing("ProjectVariable", { key, project })).toMatchObject({
      ...{ value: after?.token, masked: true, protected: true },
    });
  }
});

test("what cannot change in place is made anew", async () => {
  newCalls();
  const [plain, password, hidden] = config.image.variables;
  await declare(program, {
    ...config,
    image: {
      ...config.image,
      variables: [
        plain,
        password,
        { ...hidden, value: "another-hidden-value" },
      ],
      webhooks: {
        chat: { ...config.image.webhooks.chat, url: "https://chat.example/b" },
      },
    },
    runners: {
      ...config.runners,
      "merge-amd64": { ...config.runners["merge-amd64"], project: "release" },
    },
  });
  const up = await program.up();
  requireSuccess(up);
  const calls = newCalls().map((call) => call.split(" ").slice(0, 2).join(" "));
  expect(calls.sort()).toEqual(
    ["ProjectHook", "ProjectVariable", "UserRunner"]
      .flatMap((name) => [
        `create gitlab:index/${name[0]?.toLowerCase()}${name.slice(1)}:${name}`,
        `delete gitlab:index/${name[0]?.toLowerCase()}${name.slice(1)}:${name}`,
      ])
      .sort(),
  );
  expect(thing("ProjectVariable", { key: "HIDDEN" })?.value).toBe(
    "another-hidden-value",
  );
  expect(up.output).not.toContain("another-hidden-value");
});

test("projects are protected against destruction", async () => {
  newCalls();
  const destroy = await program.pulumi("destroy", "--yes");
  expect(destroy.exitCode).not.toBe(0);
  expect(destroy.output).toMatch(/cannot be deleted.*protect/s);
  expect(newCalls()).toEqual([]);
});

test("a project whose protection was lifted is archived, not deleted", async () => {
  await program.pulumi("state", "unprotect", "--all", "--yes");
  const destroy = await program.pulumi("destroy", "--yes", "--skip-preview");
  requireSuccess(destroy);
  expect(
    Object.values(gitlab.things("Project")).map(({ archived }) => archived),
  ).toEqual([true, true]);
  expect(gitlab.things("ProjectVariable")).toEqual({});
});
