/** One image as a job makes it, in a project whose archive and packages are the test's. */

import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parseReport } from "../../infra/pipeline/imageReport.ts";
import { listFailures, listRuns } from "../../infra/store/attempts.ts";
import {
  holdBuild,
  jobHolder,
  listBuilds,
  readFormat,
  writeBuild,
} from "../../infra/store/documents.ts";
import type { BuildRecord } from "../../infra/store/records.ts";
import { EngineProject } from "../engineProject.ts";

const image = "debian-13-tiny-amd64";
const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [{ at: 8 * mebibyte, content: randomBytes(mebibyte) }],
};

let project: EngineProject;
let build: BuildRecord;

const run = (...args: string[]) =>
  project.runScript("ci.ts", args, {
    env: { PATH: `${project.path("bin")}:${process.env.PATH}` },
  });
const reportOf = async (into: string) =>
  parseReport(
    await readFile(project.path(`${into}/report/result.json`), "utf8"),
  );

beforeAll(async () => {
  project = new EngineProject(await mkdtemp(join(tmpdir(), "build-job-")));
  await project.fill();
  await project.configure({
    directory: { path: "public", formats: ["qcow2"] },
  });
  const [prepared] = await project.prepareBuilds("20261121-0312", disk);
  build = prepared ?? expect.fail();
});

afterAll(() => project.remove());

describe("into the store of the stack", () => {
  const job = () =>
    run(
      ...["build", image, "--stack", "mine"],
      ...["--into", "job", "--in-store"],
    );

  it("builds nothing that is there, makes the formats that the stack needs, and publishes nothing", async () => {
    const { exitCode, output } = await job();
    expect(exitCode, output).toBe(0);
    expect(await readFormat(project.store, build.key, "qcow2")).toBeDefined();
    expect(await reportOf("job")).toMatchObject({
      definition: image,
      key: build.key,
      version: build.version,
      isBuiltHere: false,
      stages: [
        { name: "build", verdict: "passed" },
        { name: "format qcow2", verdict: "passed" },
        { name: "boot check bios", verdict: "passed" },
        { name: "boot check uefi", verdict: "passed" },
      ],
    });
    expect(await project.store.list("publications")).toEqual([]);
    expect(await listRuns(project.store)).toEqual([]);
  });

  it("leaves a hold of nobody, so that a stack that comes for the build is the only one that has it", async () => {
    const holders = () => project.store.list(`builds/${build.key}/holders`);
    expect(await holders()).toEqual([]);
    await holdBuild(project.store, build.key, "organization/images/mine");
    await job();
    expect(await holders()).toHaveLength(1);
  });

  it("leaves the record of the build for the note, and JUnit with a case for each part", async () => {
    const record = await readFile(
      project.path("job/report/build.json"),
      "utf8",
    );
    expect(JSON.parse(record)).toMatchObject({ key: build.key });
    const junit = await readFile(project.path("job/report/junit.xml"), "utf8");
    expect(junit.match(/<testcase /g)).toHaveLength(4);
    expect(junit).toContain('failures="0"');
  });

  it("removes older builds of the image that no stack came for within a week, whatever job died at them", async () => {
    const old = (version: string, builtAt: string, digit: string) =>
      writeBuild(project.store, {
        ...build,
        key: digit.repeat(64) as BuildRecord["key"],
        version: version as BuildRecord["version"],
        builtAt,
      });
    const [died, held, live] = ["a", "b", "c"].map(
      (digit) => digit.repeat(64) as BuildRecord["key"],
    ) as [BuildRecord["key"], BuildRecord["key"], BuildRecord["key"]];
    await old("20260101-0000", "2026-01-01T00:00:00.000Z", "a");
    await old("20260102-0000", "2026-01-02T00:00:00.000Z", "b");
    await old("20260103-0000", "2026-01-03T00:00:00.000Z", "c");
    await holdBuild(project.store, held, "organization/images/mine");
    await holdBuild(project.store, live, jobHolder);
    vi.useFakeTimers({ now: Date.now() - 8 * 86_400_000, toFake: ["Date"] });
    await holdBuild(project.store, died, jobHolder);
    vi.useRealTimers();
    const { exitCode, output } = await job();
    expect(exitCode, output).toBe(0);
    const left = await listBuilds(project.store);
    expect(left.map(({ key }) => key)).toEqual([build.key, live, held]);
  });

  it("fails at once, with a code of its own, where the store cannot be written", async () => {
    await writeFile(project.path("file"), "");
    await project.configure({ store: { directory: "file/store" } });
    const { exitCode, output } = await job();
    expect(exitCode, output).toBe(4);
    expect(output).toContain("file/store");
    await project.configure({
      directory: { path: "public", formats: ["qcow2"] },
    });
  });
});

describe("into a store of its own", () => {
  const job = () => run("build", image, "--stack", "mine", "--into", "own");

  it("leaves the stack's store alone, and says what broke, with the log's end, by the code of failed images", async () => {
    const before = await project.store.list("");
    const { exitCode, output } = await job();
    expect(exitCode, output).toBe(3);
    expect(output).toMatch(new RegExp(`${image} .* FAILED +build`));
    const { stages } = await reportOf("own");
    expect(stages.map(({ verdict }) => verdict)).toEqual([
      ...["failed", "skipped", "skipped", "skipped", "skipped"],
    ]);
    const junit = await readFile(project.path("own/report/junit.xml"), "utf8");
    expect(junit).toContain("The log's last lines:");
    expect(junit.match(/<skipped /g)).toHaveLength(4);
    expect(await project.store.list("")).toEqual(before);
    expect(await readdir(project.path("own"))).not.toContain("work");
  });

  it("tries again whenever it is started, without the pause after failures", async () => {
    await job();
    const { exitCode, output } = await job();
    expect(exitCode).toBe(3);
    expect(output).not.toContain("is not tried before");
    const { DirectoryStore } = await import(
      "../../infra/store/directoryStore.ts"
    );
    const own = new DirectoryStore(project.path("own/store"));
    expect(await listFailures(own)).toMatchObject([{ attempts: 3 }]);
  });

  it("fails with the same code where the definition allows it: GitLab lets that pass, and no other", async () => {
    await project.setVariant({ allowFailure: true });
    const { exitCode, output } = await job();
    expect(exitCode, output).toBe(3);
    expect(output).toMatch(new RegExp(`${image} .* allowed failure +build`));
    await project.setVariant({});
    await rm(project.path("own"), { recursive: true });
  });
});

it("refuses an image that is not described, and one that is none", async () => {
  for (const name of ["debian-13-huge-amd64", "../../etc"]) {
    const { exitCode, output } = await run("build", name, "--stack", "mine");
    expect(exitCode).toBe(1);
    expect(output).toContain(`describes no "${name}"`);
  }
});
