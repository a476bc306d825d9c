/**
 * One build on its way to a directory, EC2 and three clouds of OpenStack by the real engine, while one of them is away. Two
 * of the clouds are the same Glance under two names. The images are in the store, as another runner left them.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EngineProject } from "../engineProject.ts";
import { OpenstackCloud } from "../servers/openstack.ts";
import { Ec2Cloud } from "./ec2/ec2Cloud.ts";

const image = "debian-13-tiny-amd64";
const region = "us-east-1";
const mebibyte = 1024 ** 2;
const disk = {
  sizeBytes: 16 * mebibyte,
  pieces: [{ at: mebibyte, content: randomBytes(mebibyte) }],
};
const [first, second] = ["20261120-1", "20261121-1"] as const;
const clouds = ["north", "northwest", "south"];

let directories: readonly string[];
let north: OpenstackCloud;
let south: OpenstackCloud;
let ec2: Ec2Cloud;
let project: EngineProject;

beforeAll(async () => {
  directories = await Promise.all(
    ["north", "south"].map((name) => mkdtemp(join(tmpdir(), `${name}-`))),
  );
  [north, south, ec2] = await Promise.all([
    OpenstackCloud.start(directories[0] as string),
    OpenstackCloud.start(directories[1] as string),
    Ec2Cloud.start(),
  ]);
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
  const entries = {
    north: north.entry(),
    northwest: north.entry(),
    south: south.entry(),
  };
  await project.write("clouds.yaml", JSON.stringify({ clouds: entries }));
  const cloud = { format: "qcow2", waitSeconds: 2 };
  await project.configure({
    directory: { path: "public", formats: ["qcow2"] },
    ec2: {
      definitions: ["*"],
      parameters: "/team",
      targets: { east: { region, endpoint: ec2.proxy.url } },
    },
    openstack: {
      definitions: ["*"],
      clouds: Object.fromEntries(clouds.map((name) => [name, cloud])),
    },
  });
});

afterAll(async () => {
  await project?.remove();
  for (const server of [north, south, ec2]) {
    await server?.[Symbol.asyncDispose]();
  }
  for (const path of directories) await rm(path, { recursive: true });
});

async function prepare(version: string): Promise<void> {
  await project.write(
    "image-definitions/fai/package_config/TINY",
    `PACKAGES install\nof-${version}\n`,
  );
  await project.prepareBuilds(version, disk);
}

/** Each place and its version, as the table, the page's data and the places themselves have it. */
async function versionsByPlace(): Promise<Record<string, string>> {
  const { output } = await project.runScript("images.ts", [
    ...["status", "--stack", "mine", "--json"],
  ]);
  const [state] = JSON.parse(output) as [{ places: readonly Shown[] }];
  const { places } = JSON.parse(
    await readFile(project.path("public/index.json"), "utf8"),
  ) as { places: readonly Shown[] };
  const versions = (shown: readonly Shown[]) =>
    Object.fromEntries(
      shown.map(({ platform, place, published }) => [
        place ?? platform,
        published?.version,
      ]),
    );
  expect(versions(places)).toEqual(versions(state.places));
  return versions(places) as Record<string, string>;
}

interface Shown {
  readonly platform: string;
  readonly place?: string;
  readonly published?: { readonly version: string };
}

/** The versions that bear the name of the newest image in a cloud, by place. */
async function newestIn(cloud: OpenstackCloud) {
  const images = await cloud.images();
  return Object.fromEntries(
    images
      .filter(({ name, os_hidden }) => name === `${image}-daily` && !os_hidden)
      .map(({ cloud_images_place: place, cloud_images_version: version }) => [
        place,
        version,
      ]),
  );
}

function status(...args: string[]) {
  const all = ["status", "--stack", "mine", ...args];
  return project.runScript("images.ts", all);
}

it("fails in one place alone, which keeps what it had, and needs no build to follow", {
  timeout: 600_000,
}, async () => {
  await prepare(first);
  const one = await project.run(["up", "--yes"], ec2.env);
  expect(one.exitCode, one.output).toBe(0);
  // Four places, and one file in the format that they share.
  expect(one.output.match(/-qcow2 created/g)).toHaveLength(1);
  expect(one.output.match(/-image created/g)).toHaveLength(1);

  await prepare(second);
  await south.stopGlance();
  const two = await project.run(["up", "--yes"], ec2.env);
  expect(two.exitCode, two.output).not.toBe(0);
  expect(two.output).toContain("The cloud south did not");
  const there = { directory: second, east: second, north: second };
  expect(await versionsByPlace()).toEqual({
    ...{ ...there, northwest: second, south: first },
  });
  const { output: table } = await status("--failed");
  expect(table.replace(/ +/g, " ")).toMatch(
    new RegExp(`^${image} ${first} daily yes .* failed openstack south$`, "m"),
  );
  expect(table).toMatch(
    new RegExp(
      `^${image} was not published to openstack south: The cloud`,
      "m",
    ),
  );
  expect(table).not.toContain("north");
  expect(await newestIn(north)).toEqual({ north: second, northwest: second });
  expect(
    await ec2.parameter(region, "/team/debian/13-tiny/amd64/daily/latest"),
  ).toBe((await ec2.images(region)).get(`${image}-daily-${second}`)?.ImageId);
  const page = await readFile(project.path("public/index.html"), "utf8");
  expect(page).toContain("The cloud south did not");

  await south.startGlance();
  expect(await newestIn(south)).toEqual({ south: first });
  const three = await project.run(["up", "--yes"], ec2.env);
  expect(three.exitCode, three.output).toBe(0);
  expect(three.output).not.toMatch(
    /-(image|qcow2|boot-\w+) (created|updated|replaced)/,
  );
  expect(three.output).toMatch(/-openstack-south created/);
  expect(await newestIn(south)).toEqual({ south: second });
  expect(await versionsByPlace()).toEqual({
    ...{ ...there, northwest: second, south: second },
  });
  expect((await status("--failed")).output).toBe("Nothing failed.");
  expect(
    await readFile(project.path("public/index.html"), "utf8"),
  ).not.toContain("What went wrong");

  const index = project.path("public/index.html");
  const before = await readFile(index, "utf8");
  const four = await project.run(
    ["up", "--yes", "--expect-no-changes"],
    ec2.env,
  );
  expect(four.exitCode, four.output).toBe(0);
  expect(await readFile(index, "utf8")).toBe(before);
});
