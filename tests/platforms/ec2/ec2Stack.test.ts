/**
 * Image versions on their way to EC2 by the real engine: two regions of moto, strictly stood before, and a provider
 * plugin that stands in for @pulumi/aws's. The images are in the store, as another runner left them.
 */

import {
  DeleteSnapshotCommand,
  ModifyImageAttributeCommand,
  RegisterImageCommand,
} from "@aws-sdk/client-ec2";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { s3Addresses } from "../../../infra/aws/bucketAddress.ts";
import { tagNames } from "../../../infra/platforms/ec2/tags.ts";
import { listPublications } from "../../../infra/store/documents.ts";
import { openBucketStore } from "../../../infra/store/openStore.ts";
import { delay, firstCalls, refuse } from "../../servers/awsFaults.ts";
import { isCall } from "../../servers/awsProxy.ts";
import { makeBucket } from "../../servers/bucket.ts";
import type { Ec2Cloud } from "./ec2Cloud.ts";
import {
  amiName,
  Ec2Project,
  east,
  image,
  parameter,
  west,
} from "./ec2Project.ts";

const organizations = [
  "arn:aws:organizations::123456789012:organization/o-team",
  "arn:aws:organizations::123456789012:ou/o-team/ou-images",
];

let cloud: Ec2Cloud;
let project: Ec2Project;

beforeEach(async () => {
  project = await Ec2Project.start();
  cloud = project.cloud;
});

afterEach(async () => {
  await project[Symbol.asyncDispose]();
});

describe("a stack that publishes to two regions", { timeout: 300_000 }, () => {
  it("shows everything in a preview, and calls nothing", async () => {
    await project.publishTo();
    await project.prepare("20261121-0312");
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
    await project.publishTo(
      {
        east: { share: { accounts: ["123456789012"] } },
        west: { share: { organizations } },
      },
      { tags: { team: "images" } },
    );
    const build = await project.prepare("20261121-0312");
    const output = await project.up();
    const name = amiName("20261121-0312");
    for (const region of [east, west]) {
      const {
        ImageId = "",
        Tags,
        BlockDeviceMappings,
      } = await project.ami(region, name);
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
        region === east ? ["123456789012"] : organizations,
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
    const { ImageId: inEast = "" } = await project.ami(east, name);
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
    await project.publishTo();
    await project.prepare("20261119-0312");
    await project.up();
    cloud.proxy.forget();
    expect(await project.up()).toMatch(/\d+ unchanged/);
    expect(cloud.writes).toEqual([]);

    for (const version of ["20261120-0312", "20261121-0312"]) {
      await project.prepareNext(version);
      cloud.proxy.forget();
      await project.up();
    }
    expect([...(await cloud.images(west)).keys()].sort()).toEqual([
      amiName("20261120-0312"),
      amiName("20261121-0312"),
    ]);
    const { ImageId } = await project.ami(west, amiName("20261121-0312"));
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
    await project.publishTo({
      west: { share: { accounts: ["123456789012"] } },
    });
    await project.prepare("20261121-0312");
    await project.up();
    const name = amiName("20261121-0312");
    const inEast = await project.ami(east, name);
    const inWest = await project.ami(west, name);
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
    await project.up("--refresh");
    const again = await project.ami(east, name);
    expect(again.ImageId).not.toBe(inEast.ImageId);
    expect(await cloud.parameter(east, parameter)).toBe(again.ImageId);
    expect(await cloud.launchers(west, inWest.ImageId ?? "")).toEqual([
      "123456789012",
    ]);
    expect(await cloud.parameter(west, parameter)).toBe(inWest.ImageId);
    expect(await project.up("--refresh")).toMatch(/\d+ unchanged/);
  });

  it("leaves the other regions alone when one refuses everything, and goes on when it is back", async () => {
    await project.publishTo();
    await project.prepare("20261120-0312");
    await project.up();
    await project.prepareNext("20261121-0312");
    const back = cloud.proxy.add(
      refuse(
        ({ region }) => region === west,
        "UnauthorizedOperation",
        "You are not authorized to perform this operation.",
        403,
      ),
    );
    const output = await project.failingUp();
    expect(output).toContain("UnauthorizedOperation");
    const newest = await project.ami(east, amiName("20261121-0312"));
    expect(await cloud.parameter(east, parameter)).toBe(newest.ImageId);
    back();
    const older = await project.ami(west, amiName("20261120-0312"));
    expect(await cloud.parameter(west, parameter)).toBe(older.ImageId);
    cloud.proxy.forget();
    await project.up();
    expect(
      cloud.writes.filter(
        (call) => call.startsWith("ebs:") && call.endsWith(east),
      ),
    ).toEqual([]);
    expect([...(await cloud.images(west)).keys()]).toHaveLength(2);
    expect(await cloud.snapshots(west)).toHaveLength(2);
  });

  it("leaves alone what has the name and is somebody else's", async () => {
    await project.publishTo();
    await project.prepare("20261121-0312");
    const name = amiName("20261121-0312");
    const { ImageId } = await cloud
      .client(west)
      .send(new RegisterImageCommand({ Name: name, Description: "Not ours" }));
    const output = await project.failingUp();
    expect(output).toContain(`has the name "${name}" already`);
    expect((await project.ami(west, name)).ImageId).toBe(ImageId);
    await project.ami(east, name);
    expect(await cloud.snapshots(west)).toHaveLength(0);
    // Its owner gives it another name.
    await cloud.deregister(west, ImageId ?? "");
    await cloud.client(west).send(new RegisterImageCommand({ Name: "theirs" }));
    cloud.proxy.forget();
    await project.up();
    expect(cloud.writes.filter((call) => call.endsWith(east))).toEqual([]);
    await project.ami(west, name);
    expect(await cloud.snapshots(west)).toHaveLength(1);
    await project.run(["destroy", "--yes"], cloud.env);
    expect([...(await cloud.images(west)).keys()]).toEqual(["theirs"]);
    expect(await cloud.images(east)).toEqual(new Map());
  });

  it("copies AMIs where it is told to, and reads the copies back", async () => {
    await project.publishTo({ west: { copyFrom: "east" } });
    const build = await project.prepare("20261121-0312");
    const output = await project.up();
    expect(output).toContain("-ec2-east-snapshot");
    expect(output).not.toMatch(/-ec2-west-snapshot\b/);
    const records = await listPublications(project.store);
    const copy = records.find(({ place }) => place === "west");
    const [snapshot] = await cloud.snapshots(west);
    expect(snapshot?.Tags).toContainEqual({
      Key: "cloud-images:stack",
      Value: "organization/cloud-images/mine",
    });
    expect(copy?.verification?.sha256).toBe(build.raw.sha256);
    expect(await project.up()).toMatch(/\d+ unchanged/);

    const foreign = await cloud.makeForeignSnapshot(west);
    // The plugin tries once; EC2 may take a snapshot for used some time after its AMI has gone.
    cloud.proxy.add(
      firstCalls(
        1,
        refuse(
          (call) =>
            isCall("ec2", "DeleteSnapshot")(call) && call.region === west,
          "InvalidSnapshot.InUse",
          "The snapshot is currently in use.",
        ),
      ),
    );
    const destroy = () => project.run(["destroy", "--yes"], cloud.env);
    expect((await destroy()).exitCode).not.toBe(0);
    expect(await cloud.snapshots(west)).toHaveLength(2);
    const again = await destroy();
    expect(again.exitCode, again.output).toBe(0);
    expect(await cloud.images(west)).toEqual(new Map());
    expect(
      (await cloud.snapshots(west)).map(({ SnapshotId }) => SnapshotId),
    ).toEqual([foreign]);
    expect(await cloud.snapshots(east)).toEqual([]);
  });

  it("encrypts what it is told to, and changes nothing afterwards", async () => {
    const kmsKey = `arn:aws:kms:${west}:123456789012:key/11111111-2222-3333-4444-555555555555`;
    await project.publishTo({
      east: { encryption: {} },
      west: { copyFrom: "east", encryption: { kmsKey } },
    });
    await project.prepare("20261121-0312");
    await project.up();
    for (const region of [east, west]) {
      const found = await project.ami(region, amiName("20261121-0312"));
      expect(found.BlockDeviceMappings?.[0]?.Ebs?.Encrypted).toBe(true);
    }
    const [started] = [...cloud.aws.ebs.snapshots.values()];
    expect(started?.encrypted).toBe(true);
    cloud.proxy.forget();
    expect(await project.up()).toMatch(/\d+ unchanged/);
    expect(await project.up("--refresh")).toMatch(/\d+ unchanged/);
    expect(cloud.writes).toEqual([]);
  });

  it("shows everything to the aws command line", async () => {
    await makeBucket(cloud.aws.moto.url, "images");
    const s3 = {
      ...{ region: "eu-central-1", endpoint: cloud.proxy.url },
      ...{ bucket: "images", prefix: "store" },
    };
    await project.publishTo({}, {}, { store: { s3 } });
    const cache = project.path("builder");
    const build = await project.prepare(
      "20261121-0312",
      openBucketStore(s3Addresses.of(s3), { cache }),
    );
    await project.up();
    const { ImageId, BlockDeviceMappings } = await project.ami(
      ...([west, amiName("20261121-0312")] as const),
    );
    const aws = async (region: string, ...args: string[]) => {
      const endpoint = ["--endpoint-url", cloud.proxy.url, "--region", region];
      const { stdout } = await execa("aws", [...endpoint, ...args], {
        extendEnv: false,
        env: { ...project.env, PATH: "/usr/bin:/bin", HOME: project.directory },
      });
      return stdout.trim();
    };
    const snapshots = await aws(
      ...[west, "ec2", "describe-snapshots", "--output", "text"],
      ...["--filters", `Name=tag:${tagNames.key},Values=${build.key}`],
      ...["--query", "Snapshots[].[SnapshotId,State]"],
    );
    const snapshotId = BlockDeviceMappings?.[0]?.Ebs?.SnapshotId;
    expect(snapshots).toBe(`${snapshotId}\tcompleted`);
    expect(
      await aws(s3.region, "s3", "ls", "--recursive", "s3://images/store/"),
    ).toContain(build.raw.sha256);
    expect(
      await aws(
        ...[west, "ssm", "get-parameter", "--name", parameter],
        ...["--query", "Parameter.Value", "--output", "text"],
      ),
    ).toBe(ImageId);
  });

  it("goes on after it was killed in the middle, without doubling anything", async () => {
    await project.publishTo();
    await project.prepare("20261121-0312");
    const name = amiName("20261121-0312");
    cloud.proxy.add(delay(isCall("ebs", "PutSnapshotBlock"), 300));
    const running = project.start(["up", "--yes"], cloud.env);
    await untilCalled("ebs", "PutSnapshotBlock", 4);
    running.kill();
    await running.ended;
    await project.run(["cancel", "--yes"], cloud.env);
    await project.up();
    for (const region of [east, west]) {
      await project.ami(region, name);
      expect(await cloud.snapshots(region)).toHaveLength(1);
    }
  });

  it("takes back an AMI that a killed run asked for and did not live to note", async () => {
    await project.publishTo({ west: { copyFrom: "east" } });
    await project.prepare("20261121-0312");
    const name = amiName("20261121-0312");
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
    const orphan = await project.ami(east, name);
    await project.run(["cancel", "--yes"], cloud.env);
    const { output: state } = await project.run(["stack", "export"], cloud.env);
    const { output } = await project.runScript("remove-orphans.ts", [], {
      env: cloud.env,
      input: state,
    });
    expect(output).toContain(`deregistered ${orphan.ImageId}`);
    expect(await cloud.images(east)).toEqual(new Map());
    await project.up();
    for (const region of [east, west]) {
      await project.ami(region, name);
      expect(await cloud.snapshots(region)).toHaveLength(1);
    }
  });

  it("can be taken away, and leaves nothing", async () => {
    await project.publishTo({ east: { share: "public" } });
    await project.prepare("20261121-0312");
    await project.up();
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
