/**
 * Images that fail, with the real engine: what the run's exit code and its table say, and when they are tried again.
 * The build fails at once, as its archive has lost a suite's packages. The tests are one story.
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  editFile,
  filesBelow,
  makeProject,
  removeProject,
  runScript,
} from "./checkout.ts";

const minutes = 60_000;
const name = "debian-13-genericcloud-amd64";

describe("a stack whose image fails", { timeout: 5 * minutes }, () => {
  let project = "";
  const inProject = (...path: string[]) => join(project, ...path);
  const up = () => runScript(project, "up");
  const images = (...args: string[]) => runScript(project, "images", args);
  const rowOf = (output: string) =>
    output
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(/ {2,}/);

  beforeAll(async () => {
    project = await makeProject();
    // FAI's first task that a hook can end, long before any package is installed.
    const hooks = inProject("image-definitions/fai/hooks");
    await mkdir(hooks, { recursive: true });
    await writeFile(
      join(hooks, "extrbase.BROKEN"),
      "#!/bin/sh\necho this is why\nkill -9 $PPID\n",
      { mode: 0o755 },
    );
    await editFile(
      inProject("image-definitions/debian.yaml"),
      "CLOUD_INIT]",
      "CLOUD_INIT, BROKEN]",
    );
  });

  afterAll(async () => {
    await removeProject(project);
  });

  it("fails, and says which image, in what state, and where its log is", async () => {
    const { output, exitCode } = await up();
    expect(exitCode).not.toBe(0);
    const [, version, state, log = ""] = rowOf(output) ?? [];
    expect([version, state], output).toEqual(["none", "failed"]);
    expect(await readFile(log, "utf8")).toContain("this is why");
    expect(output).toContain("attempt 1 failed. The build of");
  });

  it("tries again at once, then not for an hour", async () => {
    const { output: second } = await up();
    expect(second).toContain("attempt 2 failed");
    const { output, exitCode } = await up();
    expect(exitCode).not.toBe(0);
    expect(output).not.toContain("base system");
    expect(output).toMatch(/failed 2 times in a row.* is not tried before/);
    expect(rowOf(output)?.[2]).toBe("waiting");
  });

  it("comes to a good end when its definition allows the failure, which it says all the same", async () => {
    await editFile(
      inProject("image-definitions/debian.yaml"),
      "cloudInit: true",
      "cloudInit: true\n    allowFailure: true",
    );
    const waiting = await up();
    expect(waiting.exitCode, waiting.output).toBe(0);
    expect(rowOf(waiting.output)?.[2]).toBe("waiting");

    const { output: retried } = await images("retry", name);
    expect(retried).toContain("is tried again by the next run");
    const { output, exitCode } = await up();
    expect(exitCode, output).toBe(0);
    expect(rowOf(output)?.[2]).toBe("allowed failure");
    expect(output).toContain(`${name}: FAILED, which its definition allows`);
    expect(await filesBelow(inProject("public"))).toEqual([]);
  });

  it("shows the same when it is asked later", async () => {
    const { output } = await images("status", "--json");
    expect(JSON.parse(output)).toMatchObject([
      { name, state: "allowed failure", failures: [{ attempts: 1 }] },
    ]);
  });

  it("alerts where a limit is set, since there is no version at all", async () => {
    await editFile(
      inProject("image-definitions/debian.yaml"),
      "cloudInit: true",
      "cloudInit: true\n    alertAfterDays: 3",
    );
    const { output, exitCode } = await images("check");
    expect(exitCode).toBe(1);
    expect(rowOf(output)).toEqual([name, "none", "-", "3", "TOO OLD"]);
  });

  it("leaves nothing when it is destroyed", async () => {
    const { exitCode, output } = await runScript(project, "pulumi", [
      "destroy",
      "--yes",
    ]);
    expect(exitCode, output).toBe(0);
    expect(await filesBelow(inProject("store"))).toEqual([]);
  });
});
