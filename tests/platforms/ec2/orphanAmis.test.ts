/** AMIs that a killed run did not live to note, by moto, strictly stood before. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartSnapshotCommand } from "@aws-sdk/client-ebs";
import { CreateTagsCommand, RegisterImageCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ebsClient, ec2Client } from "../../../infra/aws/clients.ts";
import {
  type AskedForAmi,
  askedForAmis,
  removeOrphanAmi,
} from "../../../infra/platforms/ec2/orphanAmis.ts";
import { apiTags } from "../../../infra/platforms/ec2/tags.ts";
import { keepImage, keptVariable } from "../../doubles/aws/cloud.ts";
import { ShownImages } from "../../doubles/aws/shownImages.ts";
import { anyCredentials, StrictAws } from "../../servers/strictAws.ts";

const name = "debian-13-tiny-amd64-daily-20261121-0312";
const tags = {
  "cloud-images:stack": "organization/cloud-images/mine",
  "cloud-images:key": "0".repeat(64),
  "cloud-images:image": name,
};
const providerUrn =
  "urn:pulumi:mine::cloud-images::pulumi:providers:aws::ec2-east";
const provider = {
  urn: providerUrn,
  id: "1",
  type: "pulumi:providers:aws",
  inputs: {
    region: "us-east-1",
    // Lists are kept as JSON.
    allowedAccountIds: '["123456789012"]',
    assumeRoles: '[{"roleArn":"arn:aws:iam::123456789012:role/x"}]',
    endpoints: '[{"ec2":"http://127.0.0.1:1"}]',
  },
};
const pendingAmi = {
  type: "creating",
  resource: {
    urn: "urn:pulumi:mine::cloud-images::aws:ec2/ami:Ami::x",
    type: "aws:ec2/ami:Ami",
    provider: `${providerUrn}::1`,
    inputs: { name, tags },
  },
};

describe("what a killed run asked for", () => {
  const askedIn = (resources: object[], pending: object[] = [pendingAmi]) =>
    askedForAmis({ deployment: { resources, pending_operations: pending } });

  it("is known with the place and the account that it was asked in", () => {
    expect(askedIn([provider])).toEqual([
      {
        access: {
          region: "us-east-1",
          account: "123456789012",
          assumeRole: "arn:aws:iam::123456789012:role/x",
          endpoint: "http://127.0.0.1:1",
        },
        name,
        tags,
        knownIds: [],
      },
    ]);
  });

  it("is nothing without an AMI that was begun, the stack's tag, or a way to look", () => {
    const with_ = (changes: object) => [
      { ...pendingAmi, resource: { ...pendingAmi.resource, ...changes } },
    ];
    expect(askedForAmis({ deployment: null })).toEqual([]);
    expect(askedIn([provider], [])).toEqual([]);
    expect(askedIn([provider], [{ ...pendingAmi, type: "updating" }])).toEqual(
      [],
    );
    expect(
      askedIn([provider], with_({ type: "aws:ssm/parameter:Parameter" })),
    ).toEqual([]);
    expect(askedIn([provider], with_({ inputs: { name, tags: {} } }))).toEqual(
      [],
    );
    expect(askedIn([])).toEqual([]);
  });

  it("may have been made since: what the state has is named", () => {
    const made = { urn: "x", type: "aws:ec2/ami:Ami", id: "ami-1", inputs: {} };
    expect(askedIn([provider, made])[0]?.knownIds).toEqual(["ami-1"]);
  });
});

describe("an AMI that nobody lived to note", () => {
  let aws: StrictAws;
  let kept = "";
  beforeAll(async () => {
    Object.assign(process.env, anyCredentials);
    kept = await mkdtemp(join(tmpdir(), "orphan-"));
    process.env[keptVariable] = kept;
    aws = await StrictAws.start();
    aws.proxy.add(new ShownImages(kept));
  });
  afterAll(async () => {
    await aws[Symbol.asyncDispose]();
    await rm(kept, { recursive: true });
  });
  beforeEach(() => aws.reset());

  /** Registers an AMI of a snapshot with these tags. */
  async function register(
    imageTags: Readonly<Record<string, string>>,
    snapshotTags: Readonly<Record<string, string>>,
  ): Promise<string> {
    const access = aws.access("us-east-1");
    const { SnapshotId } = await ebsClient(access).send(
      new StartSnapshotCommand({ VolumeSize: 1, Tags: apiTags(snapshotTags) }),
    );
    const { ImageId = "" } = await ec2Client(access).send(
      new RegisterImageCommand({ Name: name }),
    );
    await keepImage(ImageId, {
      rootDeviceName: "/dev/xvda",
      ebsBlockDevices: [
        { deviceName: "/dev/xvda", snapshotId: SnapshotId ?? "" },
      ],
    });
    if (Object.keys(imageTags).length > 0) {
      await ec2Client(access).send(
        new CreateTagsCommand({
          Resources: [ImageId],
          Tags: apiTags(imageTags),
        }),
      );
    }
    return ImageId;
  }

  const asked = (changes: Partial<AskedForAmi> = {}): AskedForAmi => ({
    access: aws.access("us-east-1"),
    ...{ name, tags, knownIds: [] },
    ...changes,
  });

  it("is deregistered, with its tags or before it got them", async () => {
    for (const imageTags of [tags, {}]) {
      const id = await register(imageTags, tags);
      expect(await removeOrphanAmi(asked())).toBe(id);
      expect(await removeOrphanAmi(asked())).toBeUndefined();
    }
  });

  it("is left alone when the state has it", async () => {
    const id = await register(tags, tags);
    expect(await removeOrphanAmi(asked({ knownIds: [id] }))).toBeUndefined();
    expect(await removeOrphanAmi(asked())).toBe(id);
  });

  it("is left alone when it is somebody else's", async () => {
    const others = { ...tags, "cloud-images:stack": "other/cloud-images/one" };
    await register(others, others);
    expect(await removeOrphanAmi(asked())).toBeUndefined();
    await aws.reset();
    await register({}, {});
    expect(await removeOrphanAmi(asked())).toBeUndefined();
  });

  it("is not looked for with the credentials of another account", async () => {
    const id = await register(tags, tags);
    const access = { ...aws.access("us-east-1"), account: "210987654321" };
    await expect(removeOrphanAmi(asked({ access }))).rejects.toThrow(/account/);
    expect(await removeOrphanAmi(asked())).toBe(id);
  });
});
