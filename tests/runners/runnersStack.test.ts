/** The project's own program with machines of runners in its stack. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { keptVariable } from "../doubles/aws/cloud.ts";
import { TestGitlab } from "../doubles/gitlab/testGitlab.ts";
import { EngineProject } from "../engineProject.ts";
import { sampleHosts, sampleRunners } from "./sampleHosts.ts";

const noImages = {
  definitions: undefined,
  store: undefined,
  directory: undefined,
  archive: undefined,
};
const gitlabSection = {
  ...{ url: "https://gitlab.example", group: 42, image: { path: "images" } },
  runners: sampleRunners,
};
const { ec2, existing } = sampleHosts;

let directory: string;
let gitlab: TestGitlab;
let project: EngineProject;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "runners-stack-"));
  gitlab = await TestGitlab.create();
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});

afterAll(async () => {
  await project?.remove();
  await gitlab?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function run(...args: string[]) {
  return project.run(args, { ...gitlab.env, [keptVariable]: directory });
}

it("has private keys encrypted, and nothing made before they are", {
  timeout: 300_000,
}, async () => {
  const privateKey =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nnobody-sees-this\n-----END OPENSSH PRIVATE KEY-----\n";
  await project.configure({
    ...{ ...noImages, gitlab: gitlabSection },
    runnerHosts: { builder: { ...existing, privateKey } },
  });
  const refused = await run("preview");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.output).toContain(
    "cloud-images:runnerHosts.builder.privateKey is a secret, and stands there in clear",
  );
  expect(refused.output).not.toContain("nobody-sees-this");
  const key = "cloud-images:runnerHosts.builder.privateKey";
  const value = `${key}=${privateKey}`;
  const done = await run("config", "set-all", "--path", "--secret", value);
  expect(done.exitCode, done.output).toBe(0);
  const preview = await run("preview", "--diff");
  expect(preview.exitCode, preview.output).toBe(0);
  expect(preview.output).toContain("command:remote:Command");
  expect(preview.output).not.toContain("nobody-sees-this");
});

it("stands beside images, whose trust it keeps apart", {
  timeout: 300_000,
}, async () => {
  await project.configure({
    gitlab: gitlabSection,
    runnerHosts: {
      merge: ec2,
      release: { ...ec2, runners: ["release-amd64"], cache: undefined },
    },
  });
  const refused = await run("preview");
  expect(refused.exitCode).not.toBe(0);
  expect(refused.output).toContain(
    "Pulumi.mine.yaml: cloud-images:runnerHosts.release.subnets[0]: is that of merge, too, whose runners are not protected: give each its own.",
  );
  await project.configure({
    gitlab: gitlabSection,
    runnerHosts: { merge: ec2 },
  });
  const preview = await run("preview");
  expect(preview.exitCode, preview.output).toBe(0);
  expect(preview.output).toContain("aws:ec2:LaunchTemplate");
  expect(preview.output).toContain("FaiImage");
});
