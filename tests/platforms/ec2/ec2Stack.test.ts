/**
 * Image versions on their way to EC2 by the real engine: two regions of moto, strictly stood before, and a provider
 * plugin that stands in for @pulumi/aws's. The images are in the store, as another runner left them.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DeleteSnapshotCommand,
  ModifyImageAttributeCommand,
  RegisterImageCommand,
} from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listPublications } from "../../../infra/store/documents.ts";
import type { BuildRecord } from "../../../infra/store/records.ts";
import { EngineProject } from "../../engineProject.ts";
import { delay, refuse } from "../../servers/awsFaults.ts";
import { isCall } from "../../servers/awsProxy.ts";
import { Ec2Cloud } from "./ec2Cloud.ts";

const east = "us-east-1";
const west = "eu-west-1";
const image = "debian-13-tiny-amd64";
const parameter = "/team/debian/13-tiny/amd64/daily/latest";
const mebibyte = 1024 ** 2;

/** Of three MiB in two places. */
const disk = {
  sizeBytes: 64 * mebibyte,
  pieces: [
    { at: 0, content: randomBytes(2 * mebibyte) },
    { at: 40 * mebibyte, content: randomBytes(mebibyte) },
  ],
};

let cloud: Ec2Cloud;
let project: EngineProject;

beforeEach(async () => {
  cloud = await Ec2Cloud.start();
  project = new EngineProject(await mkdtemp(join(tmpdir(), "engine-project-")));
  await project.fill();
  await project.init();
});

afterEach(async () => {
  await project.remove();
  await cloud[Symbol.asyncDispose]();
});

/** A stack that publishes to both regions; what a test says besides. */
function configure(
  targets: Readonly<Record<string, object>> = {},
  ec2: object = {},
): Promise<void> {
  const { url: endpoint } = cloud.proxy;
  return project.configure({
    directory: undefined,
    type: "daily",
    ec2: {
      definitions: ["*"],
      parameters: "/team",
      targets: {
        east: { region: east, endpoint, ...targets.east },
        west: { region: west, endpoint, ...targets.west },
      },
      ...ec2,
    },
  });
}

async function prepare(version: string): Promise<BuildRecord> {
  const [build] = await project.prepareBuilds(version, disk);
  return build as BuildRecord;
}

/** The same with another package, and so with another key. */
async function prepareNext(version: string): Promise<BuildRecord> {
  await project.write(
    "image-definitions/fai/package_config/TINY",
    `PACKAGES install\nof-${version}\n`,
  );
  return prepare(version);
}

async function up(...args: string[]): Promise<string> {
  const end = await project.run(["up", "--yes", ...args], cloud.env);
  expect(end.exitCode, end.output).toBe(0);
  return end.output;
}

async function failingUp(): Promise<string> {
  const end = await project.run(["up", "--yes"], cloud.env);
  expect(end.exitCode, end.output).not.toBe(0);
  return end.output;
}

/** The one AMI of that name. */
async function ami(region: string, name: string) {
  const found = (await cloud.images(region)).get(name);
  return found ?? expect.fail(`There is no ${name} in ${region}.`);
}

describe("a stack that publishes to two regions", { timeout: 300_000 }, () => {
  it("shows everything in a preview, and calls nothing", async () => {
    await configure();
    await prepare("20261121-0312");
    const { output, exitCode } = await project.run(["preview"], cloud.env);
    expect(exitCode, output).toBe(0);
    for (const place of ["east", "west"]) {
      for (const part of ["snapshot", "ami", "record"]) {
        expect(output).toMatch(
          new RegExp(`${image}-[0-9a-f]{12}-ec2-${place}-${part} +create`),
        );
      }
      expect(output).toMatch(
        new RegExp(`${image}-ec2-${place}-latest +create`),
      );
    }
    expect(cloud.writes).toEqual([]);
  });

  it("publishes AMIs that were read back, lets others in after that, and moves the parameters last", async () => {
    await configure(
      { east: { share: { accounts: ["123456789012"] } } },
      { tags: { team: "images" } },
    );
    const build = await prepare("20261121-0312");
    const output = await up();
    const name = `${image}-daily-20261121-0312`;
    for (const region of [east, west]) {
      const {
        ImageId = "",
        Tags,
        BlockDeviceMappings,
      } = await ami(region, name);
      expect(await cloud.parameter(region, parameter)).toBe(ImageId);
      expect(
        Object.fromEntries(Tags?.map(({ Key, Value }) => [Key, Value]) ?? []),
      ).toMatchObject({
        "cloud-images:stack": "organization/cloud-images/mine",
        "cloud-images:key": build.key,
        "cloud-images:raw-sha256": build.raw.sha256,
        team: "images",
      });
      expect(BlockDeviceMappings?.[0]).toMatchObject({
        DeviceName: "/dev/xvda",
        Ebs: { VolumeSize: 1, VolumeType: "gp3", DeleteOnTermination: true },
      });
      expect(await cloud.launchers(region, ImageId)).toEqual(
        region === east ? ["123456789012"] : [],
      );
    }
    expect(output).toContain(`(${name}) in ${east}, east`);

    const records = await listPublications(project.store);
    expect(records.map(({ place }) => place)).toEqual(["east", "west"]);
    for (const { verification } of records) {
      expect(verification).toMatchObject({
        sha256: build.raw.sha256,
        readBlocks: verification?.allBlocks,
      });
    }
    const { ImageId: inEast = "" } = await ami(east, name);
    const verify = (...args: string[]) =>
      project.runScript("images.ts", ["verify", inEast, ...args], {
        env: { ...cloud.env, AWS_ENDPOINT_URL: cloud.proxy.url },
      });
    const verdict = await verify("--stack", "mine");
    expect(verdict.output).toContain(
      `It is ${image} 20261121-0312, to the byte.`,
    );
    expect(verdict.exitCode).toBe(0);
    const other = await verify("--region", east, "--sha256", "0".repeat(64));
    expect(other.output).toContain("It is NOT the image");
    expect(other.exitCode).toBe(1);

    const order = cloud.writes.filter((call) => call.endsWith(east));
    const at = (call: string) => order.indexOf(`${call} ${east}`);
    expect(at("ebs:CompleteSnapshot")).toBeLessThan(at("ec2:RegisterImage"));
    expect(at("ec2:RegisterImage")).toBeLessThan(
      at("ec2:ModifyImageAttribute"),
    );
    expect(at("ssm:PutParameter")).toBe(order.length - 1);
  });

  it("changes nothing when nothing changed, and keeps as many versions as it was told", async () => {
    await configure();
    await prepare("20261119-0312");
    await up();
    cloud.proxy.forget();
    expect(await up()).toMatch(/\d+ unchanged/);
    expect(cloud.writes).toEqual([]);

    for (const version of ["20261120-0312", "20261121-0312"]) {
      await prepareNext(version);
      cloud.proxy.forget();
      await up();
    }
    expect([...(await cloud.images(west)).keys()].sort()).toEqual([
      `${image}-daily-20261120-0312`,
      `${image}-daily-20261121-0312`,
    ]);
    const { ImageId } = await ami(west, `${image}-daily-20261121-0312`);
    expect(await cloud.parameter(west, parameter)).toBe(ImageId);
    const gone = cloud.writes.filter((call) => call.endsWith(west));
    const moved = gone.indexOf(`ssm:PutParameter ${west}`);
    const deregistered = gone.indexOf(`ec2:DeregisterImage ${west}`);
    expect(deregistered).toBeGreaterThan(moved);
    expect(gone.indexOf(`ec2:DeleteSnapshot ${west}`)).toBeGreaterThan(
      deregistered,
    );
  });

  it("repairs what was changed by hand", async () => {
    await configure({ west: { share: { accounts: ["123456789012"] } } });
    await prepare("20261121-0312");
    await up();
    const name = `${image}-daily-20261121-0312`;
    const inEast = await ami(east, name);
    const inWest = await ami(west, name);
    await cloud.deregister(east, inEast.ImageId ?? "");
    await cloud.client(east).send(
      new DeleteSnapshotCommand({
        SnapshotId: inEast.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId ?? "",
      }),
    );
    await cloud.client(west).send(
      new ModifyImageAttributeCommand({
        ImageId: inWest.ImageId ?? "",
        LaunchPermission: { Remove: [{ UserId: "123456789012" }] },
      }),
    );
    await cloud.setParameter(west, parameter, inEast.ImageId ?? "");
    await cloud.client(west).send(
      new ModifyImageAttributeCommand({
        ImageId: inWest.ImageId ?? "",
        LaunchPermission: { Add: [{ Group: "all" }] },
      }),
    );
    const drift = await project.run(
      ["preview", "--refresh", "--expect-no-changes"],
      cloud.env,
    );
    expect(drift.exitCode, drift.output).not.toBe(0);
    await up("--refresh");
    const again = await ami(east, name);
    expect(again.ImageId).not.toBe(inEast.ImageId);
    expect(await cloud.parameter(east, parameter)).toBe(again.ImageId);
    expect(await cloud.launchers(west, inWest.ImageId ?? "")).toEqual([
      "123456789012",
    ]);
    expect(await cloud.parameter(west, parameter)).toBe(inWest.ImageId);
    expect(await up("--refresh")).toMatch(/\d+ unchanged/);
  });

  it("leaves the other regions alone when one refuses everything, and goes on when it is back", async () => {
    await configure();
    await prepare("20261120-0312");
    await up();
    await prepareNext("20261121-0312");
    const back = cloud.proxy.add(
      refuse(
        ({ region }) => region === west,
        "UnauthorizedOperation",
        "You are not authorized to perform this operation.",
        403,
      ),
    );
    const output = await failingUp();
    expect(output).toContain("UnauthorizedOperation");
    const newest = await ami(east, `${image}-daily-20261121-0312`);
    expect(await cloud.parameter(east, parameter)).toBe(newest.ImageId);
    back();
    const older = await ami(west, `${image}-daily-20261120-0312`);
    expect(await cloud.parameter(west, parameter)).toBe(older.ImageId);
    cloud.proxy.forget();
    await up();
    expect(
      cloud.writes.filter(
        (call) => call.startsWith("ebs:") && call.endsWith(east),
      ),
    ).toEqual([]);
    expect([...(await cloud.images(west)).keys()]).toHaveLength(2);
    expect(await cloud.snapshots(west)).toHaveLength(2);
  });

  it("leaves alone what has the name and is somebody else's", async () => {
    await configure();
    await prepare("20261121-0312");
    const name = `${image}-daily-20261121-0312`;
    const { ImageId } = await cloud
      .client(west)
      .send(new RegisterImageCommand({ Name: name, Description: "Not ours" }));
    const output = await failingUp();
    expect(output).toContain(`has the name "${name}" already`);
    expect((await ami(west, name)).ImageId).toBe(ImageId);
    await ami(east, name);
    expect(await cloud.snapshots(west)).toHaveLength(0);
    await project.run(["destroy", "--yes"], cloud.env);
    expect((await ami(west, name)).ImageId).toBe(ImageId);
    expect(await cloud.images(east)).toEqual(new Map());
  });

  it("copies AMIs where it is told to, and reads the copies back", async () => {
    await configure({ west: { copyFrom: "east" } });
    const build = await prepare("20261121-0312");
    const output = await up();
    expect(output).toContain("-ec2-east-snapshot");
    expect(output).not.toContain("-ec2-west-snapshot");
    const records = await listPublications(project.store);
    const copy = records.find(({ place }) => place === "west");
    const [snapshot] = await cloud.snapshots(west);
    expect(snapshot?.Tags).toContainEqual({
      Key: "cloud-images:stack",
      Value: "organization/cloud-images/mine",
    });
    expect(copy?.verification?.sha256).toBe(build.raw.sha256);
    expect(await up()).toMatch(/\d+ unchanged/);
    await project.run(["destroy", "--yes"], cloud.env);
    expect(await cloud.images(west)).toEqual(new Map());
  });

  it("goes on after it was killed in the middle, without doubling anything", async () => {
    await configure();
    await prepare("20261121-0312");
    const name = `${image}-daily-20261121-0312`;
    cloud.proxy.add(delay(isCall("ebs", "PutSnapshotBlock"), 300));
    const running = project.start(["up", "--yes"], cloud.env);
    await untilCalled("ebs", "PutSnapshotBlock", 4);
    running.kill();
    await running.ended;
    await project.run(["cancel", "--yes"], cloud.env);
    await up();
    for (const region of [east, west]) {
      await ami(region, name);
      expect(await cloud.snapshots(region)).toHaveLength(1);
    }
  });

  it("takes back an AMI that a killed run asked for and did not live to note", async () => {
    await configure({ west: { copyFrom: "east" } });
    await prepare("20261121-0312");
    const name = `${image}-daily-20261121-0312`;
    // Its answer comes when nobody is there any more.
    const free = cloud.proxy.add({
      matches: isCall("ec2", "CreateTags"),
      async act(call, forward) {
        const answer = await forward(call);
        await new Promise((resolve) => setTimeout(resolve, 5000));
        return answer;
      },
    });
    const running = project.start(["up", "--yes"], cloud.env);
    await untilCalled("ec2", "CreateTags", 1);
    running.kill();
    await running.ended;
    free();
    const orphan = await ami(east, name);
    await project.run(["cancel", "--yes"], cloud.env);
    const { output: state } = await project.run(["stack", "export"], cloud.env);
    const { output } = await project.runScript("remove-orphans.ts", [], {
      env: cloud.env,
      input: state,
    });
    expect(output).toContain(`deregistered ${orphan.ImageId}`);
    expect(await cloud.images(east)).toEqual(new Map());
    await up();
    for (const region of [east, west]) {
      await ami(region, name);
      expect(await cloud.snapshots(region)).toHaveLength(1);
    }
  });

  it("can be taken away, and leaves nothing", async () => {
    await configure({ east: { share: "public" } });
    await prepare("20261121-0312");
    await up();
    const { exitCode, output } = await project.run(
      ["destroy", "--yes"],
      cloud.env,
    );
    expect(exitCode, output).toBe(0);
    for (const region of [east, west]) {
      expect(await cloud.images(region)).toEqual(new Map());
      expect(await cloud.snapshots(region)).toEqual([]);
      await expect(cloud.parameter(region, parameter)).rejects.toThrow(
        /ParameterNotFound|not found/i,
      );
    }
    expect(await listPublications(project.store)).toEqual([]);
  });

  async function untilCalled(service: string, action: string, times: number) {
    const end = Date.now() + 60_000;
    while (cloud.proxy.count(service, action) < times) {
      if (Date.now() > end) throw new Error(`${action} was not called.`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
});
