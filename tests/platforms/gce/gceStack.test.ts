/** Image versions on their way to Google Cloud by the real engine. They are in the store, as another runner left them. */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listPublications } from "../../../infra/store/documents.ts";
import { EngineProject } from "../../engineProject.ts";
import { GoogleCloud } from "../../servers/googleCloud.ts";

const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 1024 * mebibyte,
  pieces: [{ at: mebibyte, content: randomBytes(mebibyte) }],
};
const bucket = "images-of-stacks";
const family = "debian-13-tiny-amd64-daily";
const member = "group:team@example.com";

let directory: string;
let cloud: GoogleCloud;
let project: EngineProject;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "gce-stack-"));
  cloud = await GoogleCloud.start(directory);
  await cloud.makeBucket(bucket);
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
}, 60_000);

afterAll(async () => {
  await project?.remove();
  await cloud?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const end = (...args: string[]) =>
  project.run(args, { GOOGLE_APPLICATION_CREDENTIALS: cloud.credentialsFile });

async function run(...args: string[]): Promise<string> {
  const { exitCode, output } = await end(...args);
  expect(exitCode, output).toBe(0);
  return output;
}

/** Name, family and deprecation of each image of a project. */
function shown(project: string): readonly string[] {
  return cloud
    .imagesOf(project)
    .map(({ name, family, deprecated }) =>
      [name, family ?? "none", deprecated?.state ?? "ACTIVE"].join(" "),
    );
}

async function prepare(version: string): Promise<void> {
  await project.write(
    "image-definitions/fai/package_config/TINY",
    `PACKAGES install\nof-${version}\n`,
  );
  await project.prepareBuilds(version, disk);
}

function writes(): readonly string[] {
  return cloud.calls.filter((call) => !call.startsWith("GET"));
}

it("brings versions to each project, keeps two, and leaves nothing", {
  timeout: 300_000,
}, async () => {
  const target = { bucket, endpoint: cloud.url };
  await project.configure({
    directory: undefined,
    gce: {
      definitions: ["*"],
      targets: {
        one: {
          ...{ ...target, project: "first-project" },
          share: { members: [member] },
        },
        two: { ...target, project: "other-project" },
      },
    },
  });
  const theirs = cloud.addImage("first-project", {
    ...{ name: "theirs", family: "theirs" },
  });
  await prepare("20261120-1");

  // A project fails alone.
  cloud.fail(
    "POST",
    /^compute\/v1\/projects\/other-project\/global\/images\?/,
    { kind: "answer", status: 403, reason: "quotaExceeded" },
  );
  const { exitCode, output } = await end("up", "--yes");
  expect(exitCode, output).not.toBe(0);
  expect(output).toContain("a quota is used up");
  expect(shown("first-project")).toEqual([
    `${family}-20261120-1 ${family} ACTIVE`,
    "theirs theirs ACTIVE",
  ]);
  expect(shown("other-project")).toEqual([]);
  expect(await run("up", "--yes")).toMatch(
    /GCE: {6}debian-13.* in other-project, two/,
  );
  cloud.reset();
  await run("up", "--yes", "--refresh", "--expect-no-changes");
  expect(writes()).toEqual([]);

  for (const version of ["20261121-1", "20261122-1"]) {
    await prepare(version);
    await run("up", "--yes");
  }
  const current = [
    `${family}-20261121-1 ${family} DEPRECATED`,
    `${family}-20261122-1 ${family} ACTIVE`,
  ];
  expect(shown("first-project")).toEqual([...current, "theirs theirs ACTIVE"]);
  expect(shown("other-project")).toEqual(current);

  // Behind our back: an image deleted, a deprecation taken back, a binding removed.
  cloud.images.delete(`other-project/${family}-20261122-1`);
  delete cloud.images.get(`first-project/${family}-20261121-1`)?.deprecated;
  const shared = `first-project/${family}-20261122-1`;
  expect(cloud.policies.get(shared)).toEqual([
    { role: "roles/compute.imageUser", members: [member] },
  ]);
  cloud.policies.set(shared, []);
  await run("up", "--yes", "--refresh");
  expect(shown("first-project")).toEqual([...current, "theirs theirs ACTIVE"]);
  expect(shown("other-project")).toEqual(current);
  expect(cloud.policies.get(shared)).toMatchObject([{ members: [member] }]);

  await run("destroy", "--yes");
  expect(cloud.imagesOf("first-project")).toEqual([theirs]);
  expect(cloud.imagesOf("other-project")).toEqual([]);
  expect(await cloud.objectNames(bucket)).toEqual([]);
  expect(await listPublications(project.store)).toEqual([]);
});

it("goes on with what a failed run had begun, or leaves nothing of it, as the next run wants", {
  timeout: 300_000,
}, async () => {
  const target = { bucket, project: "third-project", endpoint: cloud.url };
  await project.configure({
    directory: undefined,
    gce: { definitions: ["*"], targets: { three: target } },
  });
  const theirs = cloud.addImage("third-project", { name: "theirs" });
  await cloud.putObject(bucket, "theirs.tar.gz", "theirs");
  const ofProject = (path: string) =>
    new RegExp(`^compute/v1/projects/third-project/global/images${path}`);
  const images = ofProject("\\?");
  const keptImages = async () =>
    (await run("stack", "export")).match(/"id": "three\//g) ?? [];
  const failing = async (method: string, path: RegExp) => {
    cloud.reset();
    const fault = { kind: "answer", status: 401, reason: "authError" } as const;
    cloud.fail(method, path, fault, 1000);
    const { exitCode, output } = await end("up", "--yes");
    expect(exitCode, output).not.toBe(0);
    expect(output).toContain("they expired");
    cloud.reset();
  };

  // Nothing was made.
  await prepare("20261123-1");
  await failing("GET", images);
  expect(await keptImages()).toEqual([]);

  // An object.
  await failing("POST", images);
  expect(await cloud.objectNames(bucket)).toHaveLength(2);
  expect(await keptImages()).toHaveLength(1);
  expect(await run("up", "--yes", "--refresh")).toMatch(/-gce-three updated/);
  expect(cloud.sentBytes).toBe(0);
  expect(await cloud.objectNames(bucket)).toEqual(["theirs.tar.gz"]);
  const first = `${family}-20261123-1 ${family}`;
  expect(shown("third-project")).toEqual([
    ...[`${first} ACTIVE`, "theirs none ACTIVE"],
  ]);

  // An object and an image, and nobody goes on with them.
  await prepare("20261124-1");
  await failing("GET", ofProject("/debian"));
  expect(await cloud.objectNames(bucket)).toHaveLength(2);
  expect(shown("third-project")).toHaveLength(3);
  await prepare("20261125-1");
  await run("up", "--yes");
  expect(await cloud.objectNames(bucket)).toEqual(["theirs.tar.gz"]);
  expect(shown("third-project")).toEqual([
    `${first} DEPRECATED`,
    `${family}-20261125-1 ${family} ACTIVE`,
    "theirs none ACTIVE",
  ]);
  expect(cloud.imagesOf("third-project")).toContainEqual(theirs);
});
