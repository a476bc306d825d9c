/**
 * All variants of one release, and what tests/stack leaves out, built beside each other by one run: each boots by
 * each of its kinds of firmware, and is published.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  editFile,
  makeProject,
  publishQcow2Alone,
  removeProject,
  runScript,
} from "../stack/checkout.ts";

const minutes = 60_000;
const variants = ["azure", "ec2", "gce", "generic", "genericcloud", "nocloud"];
const names = [
  "debian-12-genericcloud-amd64",
  ...variants.map((variant) => `debian-13-${variant}-amd64`),
];

describe("the variants of a release", { timeout: 60 * minutes }, () => {
  let project = "";
  const inProject = (...path: string[]) => join(project, ...path);

  beforeAll(async () => {
    project = await makeProject();
    await publishQcow2Alone(project);
    await editFile(
      inProject("Pulumi.local.yaml"),
      "- debian-13-genericcloud-amd64",
      '- "debian-13-*-amd64"\n    - debian-12-genericcloud-amd64',
    );
  });

  afterAll(async () => {
    await removeProject(project);
  });

  it("are all built, boot and are published", async () => {
    const { output, exitCode } = await runScript(project, "up");
    expect(exitCode, output).toBe(0);
    const index = await readFile(inProject("public/index.json"), "utf8");
    const published = JSON.parse(index).publications.map(
      (publication: { definition: { name: string } }) =>
        publication.definition.name,
    );
    expect(published.sort()).toEqual(names);
  });

  it("do not change when they are brought up again", async () => {
    const { output, exitCode } = await runScript(project, "up");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/\d+ unchanged/);
    expect(output).not.toContain("base system");
  });
});
