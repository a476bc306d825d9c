/** Image versions on their way to a real Glance by the real engine. They are in the store, as another runner left them. */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listPublications } from "../../../infra/store/documents.ts";
import { EngineProject } from "../../engineProject.ts";
import { memberPassword, OpenstackCloud } from "../../servers/openstack.ts";

const image = "debian-13-tiny-amd64";
const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 16 * mebibyte,
  pieces: [{ at: mebibyte, content: randomBytes(mebibyte) }],
};

let directory: string;
let cloud: OpenstackCloud;
let project: EngineProject;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "openstack-stack-"));
  cloud = await OpenstackCloud.start(directory);
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});

afterAll(async () => {
  await project?.remove();
  await cloud?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function configure(clouds: Readonly<Record<string, object>>): Promise<void> {
  return project.configure({
    directory: undefined,
    openstack: { definitions: ["*"], clouds },
  });
}

async function run(...args: string[]): Promise<string> {
  const { exitCode, output } = await project.run(args);
  expect(exitCode, output).toBe(0);
  return output;
}

/** What is in Glance: name, place and format of each image, and whether it is hidden. */
async function shown(): Promise<readonly string[]> {
  return (await cloud.images())
    .map(({ name, os_hidden, cloud_images_place, disk_format, status }) =>
      [
        ...[cloud_images_place, name, disk_format, status],
        os_hidden ? "hidden" : "shown",
      ].join(" "),
    )
    .sort();
}

async function prepare(version: string): Promise<void> {
  await project.write(
    "image-definitions/fai/package_config/TINY",
    `PACKAGES install\nof-${version}\n`,
  );
  await project.prepareBuilds(version, disk);
}

it("brings versions to each cloud, keeps two, and leaves nothing", {
  timeout: 600_000,
}, async () => {
  const { auth } = cloud.entry() as { auth: object };
  const one = cloud.entry();
  const refused = cloud.entry({ auth: { ...auth, password: "wrong-secret" } });
  const clouds = { one, refused };
  await project.write("clouds.yaml", JSON.stringify({ clouds }));
  const ceph = { cloud: "one", format: "raw" };
  await configure({ ceph, other: { cloud: "refused", format: "qcow2" } });
  await prepare("20261120-1");

  // A cloud fails alone.
  const { exitCode, output } = await project.run(["up", "--yes"]);
  expect(exitCode, output).not.toBe(0);
  expect(output).toContain("The cloud refused does not know these credentials");
  const daily = `${image}-daily`;
  expect(await shown()).toEqual([`ceph ${daily} raw active shown`]);

  await configure({ ceph, other: { cloud: "one", format: "qcow2" } });
  expect(await run("up", "--yes")).toMatch(
    /Glance: {3}[0-9a-f-]{36} \(debian-13-tiny-amd64-daily\) in other/,
  );
  await run("up", "--yes", "--refresh", "--expect-no-changes");

  for (const version of ["20261121-1", "20261122-1"]) {
    await prepare(version);
    await run("up", "--yes");
  }
  expect(await shown()).toEqual([
    `ceph ${daily} raw active shown`,
    `ceph ${daily}-20261121-1 raw active hidden`,
    `other ${daily} qcow2 active shown`,
    `other ${daily}-20261121-1 qcow2 active hidden`,
  ]);
  expect(await listPublications(project.store)).toHaveLength(4);
  const state = await run("stack", "export");
  for (const secret of [memberPassword, "wrong-secret"]) {
    expect(state + output).not.toContain(secret);
  }

  await run("destroy", "--yes");
  expect(await shown()).toEqual([]);
  expect(await listPublications(project.store)).toEqual([]);
});
