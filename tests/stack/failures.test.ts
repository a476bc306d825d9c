/**
 * Images that fail, with the real engine: what the run's exit code and its table say, and when they are tried again.
 * The build fails at once: the archive is one of the test's, whose key no base system trusts. The tests are one story.
 */

import { appendFile, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadDefinitions } from "../../infra/definitions/load.ts";
import { listFailures, readRunOf } from "../../infra/store/attempts.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { writeBuild, writeFormat } from "../../infra/store/documents.ts";
import { formats } from "../../infra/store/records.ts";
import { LocalArchive } from "../localArchive.ts";
import {
  sampleBuild,
  storeArtifact,
  storeBootCheck,
} from "../store/records.ts";
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
  const path = process.env.PATH;
  const inProject = (...path: string[]) => join(project, ...path);
  const up = () => runScript(project, "up");
  const images = (...args: string[]) => runScript(project, "images", args);
  const rowOf = (output: string) =>
    output
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(/ {2,}/);
  const stateIn = (output: string) => rowOf(output)?.[5];

  beforeAll(async () => {
    project = await makeProject();
    // Downloads of this archive are no good to anybody else.
    await rm(inProject(".cache"));
    const archive = new LocalArchive(inProject("archive"));
    await archive.prepare(inProject("bin"));
    const suites = ["trixie", "trixie-updates", "trixie-security"];
    await archive.offer(Object.fromEntries(suites.map((name) => [name, []])));
    const { address } = archive;
    await appendFile(
      inProject("Pulumi.local.yaml"),
      `  cloud-images:archive: { debian: "${address}", security: "${address}" }\n`,
    );
    process.env.PATH = `${inProject("bin")}:${path}`;
  });

  afterAll(async () => {
    process.env.PATH = path;
    await removeProject(project);
  });

  it("fails, and says which image, in what state, and where its log is", async () => {
    const { output, exitCode } = await up();
    expect(exitCode).not.toBe(0);
    expect(rowOf(output), output).toEqual([
      ...[name, "none", "-", "-", "-", "failed", "directory"],
    ]);
    const [, log = ""] = /^ {2}Log: (.+)$/m.exec(output) ?? [];
    expect(await readFile(log, "utf8")).toContain(
      "apt cannot fetch the package lists: E: ",
    );
    expect(output).toContain("attempt 1 failed. The build of");
  });

  it("tries again at once, then not for an hour", async () => {
    const { output: second } = await up();
    expect(second).toContain("attempt 2 failed");
    const { output, exitCode } = await up();
    expect(exitCode).not.toBe(0);
    expect(output).not.toContain(": base system, ");
    expect(output).toMatch(/failed 2 times in a row.* is not tried before/);
    expect(stateIn(output)).toBe("waiting");
  });

  it("comes to a good end when its definition allows the failure, which it says all the same", async () => {
    await editFile(
      inProject("image-definitions/debian.yaml"),
      "cloudInit: true",
      "cloudInit: true\n    allowFailure: true",
    );
    const waiting = await up();
    expect(waiting.exitCode, waiting.output).toBe(0);
    expect(stateIn(waiting.output)).toBe("waiting");

    const { output: retried } = await images("retry", name);
    expect(retried).toContain("is tried again by the next run");
    const { output, exitCode } = await up();
    expect(exitCode, output).toBe(0);
    expect(stateIn(output)).toBe("allowed failure");
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

  it("is published as soon as there is an image, even one of another runner", async () => {
    const store = new DirectoryStore(inProject("store"));
    const run = await readRunOf(store, "local");
    const key = run?.images[0]?.key ?? expect.fail();
    const definitions = await loadDefinitions(inProject("image-definitions"));
    const definition =
      definitions.find((each) => each.name === name) ?? expect.fail();
    const raw = await storeArtifact(store, "raw");
    await writeBuild(store, { ...sampleBuild(raw), key, definition });
    for (const format of formats) {
      const artifact = await storeArtifact(store, format);
      await writeFormat(store, key, {
        format,
        rawSha256: raw.sha256,
        artifact,
      });
    }
    for (const firmware of definition.bootCheck.firmware) {
      await storeBootCheck(store, key, firmware, raw.sha256);
    }

    const { output, exitCode } = await up();
    expect(exitCode, output).toBe(0);
    const [, version, channel, isVerified, , state, place] =
      rowOf(output) ?? [];
    expect([version, channel, isVerified, state, place], output).toEqual([
      ...["20261121-1", "dev", "yes", "published", "directory"],
    ]);
    const published = inProject("public/trixie/dev/20261121-1");
    expect(await filesBelow(published)).toContain(`${name}-20261121-1.qcow2`);
    expect(await listFailures(store)).toEqual([]);
    const again = await runScript(project, "pulumi", [
      "preview",
      "--expect-no-changes",
    ]);
    expect(again.exitCode, again.output).toBe(0);
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
