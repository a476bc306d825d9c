/**
 * What goes wrong at AWS while the real engine publishes to two regions, or two accounts. After each: the next run
 * completes, nothing is doubled, nothing of ours is left over, and nothing of others was touched.
 */

import { RegisterImageCommand } from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listPublications } from "../../../infra/store/documents.ts";
import {
  corruptAnswer,
  corruptRequest,
  expireCredentials,
  firstCalls,
  refuse,
} from "../../servers/awsFaults.ts";
import { isCall } from "../../servers/awsProxy.ts";
import { anyCredentials } from "../../servers/strictAws.ts";
import { type Ec2Cloud, roleIn } from "./ec2Cloud.ts";
import {
  amiName,
  diskBlocks,
  Ec2Project,
  east,
  parameter,
  west,
} from "./ec2Project.ts";

const version = "20261121-0312";

let cloud: Ec2Cloud;
let project: Ec2Project;
/** Somebody else's snapshots, by region. */
let foreign: ReadonlyMap<string, string>;

beforeEach(async () => {
  project = await Ec2Project.start();
  cloud = project.cloud;
  const theirs = new Map<string, string>();
  for (const region of [east, west]) {
    theirs.set(region, await cloud.makeForeignSnapshot(region));
    await cloud
      .client(region)
      .send(new RegisterImageCommand({ Name: "theirs" }));
  }
  foreign = theirs;
  cloud.proxy.forget();
  await project.publishTo();
  await project.prepare(version);
});

afterEach(async () => {
  await project[Symbol.asyncDispose]();
});

/** Ids of the snapshots that are not somebody else's. */
async function ours(region: string): Promise<readonly string[]> {
  const found = await cloud.snapshots(region);
  return found
    .map(({ SnapshotId = "" }) => SnapshotId)
    .filter((id) => id !== foreign.get(region));
}

/** One AMI of one snapshot in each region, and what was there before. */
async function expectAllToBeWell(): Promise<void> {
  for (const region of [east, west]) {
    const { ImageId } = await project.ami(region, amiName(version));
    const names = [...(await cloud.images(region)).keys()].sort();
    expect(names).toEqual([amiName(version), "theirs"]);
    expect(await ours(region)).toHaveLength(1);
    expect(await cloud.snapshots(region)).toHaveLength(2);
    expect(await cloud.parameter(region, parameter)).toBe(ImageId);
  }
  const records = await listPublications(project.store);
  expect(records.map(({ place }) => place)).toEqual(["east", "west"]);
}

describe("publishing to two regions", { timeout: 300_000 }, () => {
  it("says what a quota needs, and goes on in the region that has room", async () => {
    const raise = cloud.proxy.add(
      refuse(
        (call) => isCall("ebs", "StartSnapshot")(call) && call.region === west,
        "ServiceQuotaExceededException",
        "You have reached the maximum number of pending snapshots.",
        402,
      ),
    );
    const output = await project.failingUp();
    expect(output).toContain(
      `in ${west}, as a quota of the account is used up`,
    );
    expect(output).toContain("Ask for more under Service Quotas");
    const { ImageId } = await project.ami(east, amiName(version));
    expect(await cloud.parameter(east, parameter)).toBe(ImageId);
    expect(await ours(west)).toEqual([]);
    raise();
    cloud.proxy.forget();
    await project.up();
    expect(cloud.writes.filter((call) => call.endsWith(east))).toEqual([]);
    await expectAllToBeWell();
  });

  it("goes on with the snapshots that it had begun when its credentials expired", async () => {
    const { AWS_ACCESS_KEY_ID } = anyCredentials;
    const forget = cloud.proxy.add(
      expireCredentials(
        (id) =>
          id === AWS_ACCESS_KEY_ID &&
          cloud.proxy.count("ebs", "PutSnapshotBlock") > 4,
      ),
    );
    const output = await project.failingUp();
    expect(output).toContain("The AWS credentials expired before this could");
    project.credentials = { AWS_ACCESS_KEY_ID: "AKIARENEWED" };
    const begun = [...cloud.aws.ebs.snapshots.keys()];
    cloud.proxy.forget();
    await project.up();
    forget();
    expect([...cloud.aws.ebs.snapshots.keys()]).toEqual(
      expect.arrayContaining(begun),
    );
    await expectAllToBeWell();
  });

  it("sends a block again that was altered on its way, and the snapshot that holds an altered one", async () => {
    cloud.proxy.add(
      firstCalls(1, corruptRequest(isCall("ebs", "PutSnapshotBlock"))),
    );
    const repair = cloud.proxy.add(
      corruptAnswer(
        (call) =>
          isCall("ebs", "GetSnapshotBlock")(call) &&
          call.region === west &&
          call.path.includes("/blocks/80?"),
      ),
    );
    const output = await project.failingUp();
    expect(output).toContain("is not what its own checksum says");
    expect(cloud.proxy.count("ebs", "PutSnapshotBlock")).toBe(
      2 * diskBlocks + 1,
    );
    expect([...(await cloud.images(west)).keys()]).toEqual(["theirs"]);
    expect(await ours(west)).toEqual([]);
    await project.ami(east, amiName(version));
    repair();
    await project.up();
    await expectAllToBeWell();
  });

  it("takes no snapshot that never gets ready", async () => {
    // Half an hour.
    await project.edit(
      "infra/platforms/ec2/ebsDirect.ts",
      "readySeconds: 1800,\n  readyPollSeconds: 5,",
      "readySeconds: 1,\n  readyPollSeconds: 0.2,",
    );
    cloud.aws.ebs.settings.readyMilliseconds = Number.POSITIVE_INFINITY;
    const output = await project.failingUp();
    expect(output).toMatch(/was not ready \d+ s after its completion/);
    expect([...(await ours(east)), ...(await ours(west))]).toEqual([]);
    cloud.aws.ebs.settings.readyMilliseconds = 100;
    await project.up();
    await expectAllToBeWell();
  });
});

describe("publishing to two accounts", { timeout: 300_000 }, () => {
  it("leaves one alone when the other refuses everything", async () => {
    const [one, other] = ["111111111111", "222222222222"];
    await project.publishTo({
      east: { account: one, assumeRole: roleIn(one) },
      west: { region: east, account: other, assumeRole: roleIn(other) },
    });
    const back = cloud.proxy.add(
      refuse(
        ({ account }) => account === other,
        "UnauthorizedOperation",
        "You are not authorized to perform this operation.",
        403,
      ),
    );
    expect(await project.failingUp()).toContain("UnauthorizedOperation");
    back();
    const name = amiName(version);
    const first = await project.ami(east, name, one);
    expect(first.OwnerId).toBe(one);
    expect(await cloud.snapshots(east, other)).toEqual([]);
    cloud.proxy.forget();
    await project.up();
    const { OwnerId, ImageId } = await project.ami(east, name, other);
    expect(OwnerId).toBe(other);
    expect(ImageId).not.toBe(first.ImageId);
    const touched = cloud.proxy.calls.filter(
      ({ account, action }) =>
        account !== other && !/^(Describe|Get|List|Assume)/.test(action),
    );
    expect(touched).toEqual([]);
    for (const account of [one, other]) {
      expect(await cloud.snapshots(east, account)).toHaveLength(1);
      expect((await cloud.images(east, account)).size).toBe(1);
    }
    const records = await listPublications(project.store);
    expect(records.map(({ names }) => names?.account)).toEqual([one, other]);
    expect([...(await cloud.images(east)).keys()]).toEqual(["theirs"]);
    expect(await ours(east)).toEqual([]);
  });
});
