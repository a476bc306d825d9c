/** The project's own program with GitLab in its stack: alone, beside images, and with secrets of the stack. */

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestGitlab } from "../doubles/gitlab/testGitlab.ts";
import { EngineProject } from "../engineProject.ts";

const password = "correct-horse-battery";
const address = "https://chat.example/hook-that-lets-anybody-in";
const section = {
  url: "https://gitlab.example",
  group: 42,
  image: {
    path: "images",
    variables: [{ key: "PASSWORD", value: password, masked: true }],
    webhooks: { chat: { url: address, events: ["pipeline"] } },
  },
};
const noImages = {
  definitions: undefined,
  store: undefined,
  directory: undefined,
  archive: undefined,
};

let gitlab: TestGitlab;
let project: EngineProject;

beforeAll(async () => {
  gitlab = await TestGitlab.create();
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});

afterAll(async () => {
  await project?.remove();
  await gitlab?.[Symbol.asyncDispose]();
});

async function run(...args: string[]): Promise<string> {
  const { exitCode, output } = await project.run(args, gitlab.env);
  expect(exitCode, output).toBe(0);
  return output;
}

async function refusal(): Promise<string> {
  const { exitCode, output } = await project.run(["preview"], gitlab.env);
  expect(exitCode, output).not.toBe(0);
  return output;
}

it("has secrets encrypted, and nothing made before they are", {
  timeout: 300_000,
}, async () => {
  await project.configure({ ...noImages, gitlab: section });
  const refused = await refusal();
  expect(refused).toContain(
    "cloud-images:gitlab.image.variables[0].value is a secret, and stands there in clear",
  );
  expect(refused).not.toContain(password);
  await run(
    ...["config", "set", "--secret", "--path"],
    ...["cloud-images:gitlab.image.variables[0].value", password],
  );

  // What is encrypted beside it does not help the other one.
  const refusedAgain = await refusal();
  expect(refusedAgain).toContain(
    "Pulumi.mine.yaml: cloud-images:gitlab.image.webhooks.chat.url is a secret, and stands there in clear. " +
      "Let Pulumi encrypt it: scripts/pulumi config set --stack mine --secret --path 'cloud-images:gitlab.image.webhooks.chat.url'",
  );
  expect(refusedAgain).not.toContain(address);
  expect(gitlab.world.calls).toEqual([]);
  await run(
    ...["config", "set", "--secret", "--path"],
    ...["cloud-images:gitlab.image.webhooks.chat.url", address],
  );

  const up = await run("up", "--yes");
  expect(up).toMatch(/Images: +https:\/\/gitlab\.example\/team\/images/);
  expect(Object.values(gitlab.things("ProjectVariable"))).toMatchObject([
    { key: "PASSWORD", value: password },
  ]);
  const told = up + (await run("stack", "export"));
  for (const secret of [password, address]) expect(told).not.toContain(secret);
  await run("up", "--yes", "--refresh", "--expect-no-changes");
});

it("stands beside images", { timeout: 300_000 }, async () => {
  const image = { path: section.image.path };
  await project.configure({ gitlab: { ...section, image } });
  const preview = await run("preview");
  expect(preview).toMatch(/cloud-images:image:FaiImage|FaiImage/);
  expect(preview).toMatch(/- .*ProjectVariable/);
});

it("is checked with everything else, and makes nothing when something is wrong", {
  timeout: 300_000,
}, async () => {
  const schedules = { daily: { cron: "10 34 * * *" } };
  await project.configure({
    gitlab: { ...section, image: { ...section.image, schedules } },
  });
  const before = gitlab.world;
  expect(await refusal()).toContain(
    "Pulumi.mine.yaml: cloud-images:gitlab.image.schedules.daily.cron: can never fire",
  );
  expect(gitlab.world).toEqual(before);
});
