/** EC2 for a test: moto, strictly stood before, and what its owner sees of it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DeregisterImageCommand,
  DescribeImageAttributeCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  EC2Client,
  type Image,
  type Snapshot,
} from "@aws-sdk/client-ec2";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { keptVariable } from "../../doubles/aws/cloud.ts";
import { ShownImages } from "../../doubles/aws/shownImages.ts";
import type { AwsProxy } from "../../servers/awsProxy.ts";
import { anyCredentials, StrictAws } from "../../servers/strictAws.ts";

/** Calls that change nothing. */
const reading = /^(Describe|Get|List|AssumeRole)/;

export class Ec2Cloud implements AsyncDisposable {
  readonly aws: StrictAws;
  readonly #kept: string;

  private constructor(aws: StrictAws, kept: string) {
    this.aws = aws;
    this.#kept = kept;
    aws.proxy.add(new ShownImages(kept));
  }

  static async start(): Promise<Ec2Cloud> {
    const kept = await mkdtemp(join(tmpdir(), "ec2-cloud-"));
    return new Ec2Cloud(await StrictAws.start(), kept);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.aws[Symbol.asyncDispose]();
    await rm(this.#kept, { recursive: true, force: true });
  }

  get proxy(): AwsProxy {
    return this.aws.proxy;
  }

  /** What a program needs to reach it. */
  get env(): Readonly<Record<string, string>> {
    return { ...anyCredentials, [keptVariable]: this.#kept };
  }

  /** The calls that changed something, in order: `ec2:RegisterImage eu-central-1`. */
  get writes(): readonly string[] {
    return this.proxy.calls
      .filter(({ action }) => !reading.test(action))
      .map(({ service, action, region }) => `${service}:${action} ${region}`);
  }

  /** The owner's AMIs in a region, by name. */
  async images(region: string): Promise<ReadonlyMap<string, Image>> {
    const { Images = [] } = await this.client(region).send(
      new DescribeImagesCommand({ Owners: ["self"] }),
    );
    return new Map(Images.map((image) => [image.Name ?? "", image]));
  }

  /** The owner's snapshots in a region that were not made by moto itself. */
  async snapshots(region: string): Promise<readonly Snapshot[]> {
    const { Snapshots = [] } = await this.client(region).send(
      new DescribeSnapshotsCommand({ OwnerIds: ["self"] }),
    );
    return Snapshots;
  }

  /** Who may launch an AMI: account ids, groups and ARNs. */
  async launchers(region: string, imageId: string): Promise<readonly string[]> {
    const { LaunchPermissions = [] } = await this.client(region).send(
      new DescribeImageAttributeCommand({
        ImageId: imageId,
        Attribute: "launchPermission",
      }),
    );
    return LaunchPermissions.map(
      ({ UserId, Group, OrganizationArn, OrganizationalUnitArn }) =>
        UserId ?? Group ?? OrganizationArn ?? OrganizationalUnitArn ?? "",
    ).sort();
  }

  /** The value of a parameter. */
  async parameter(region: string, name: string): Promise<string | undefined> {
    const client = new SSMClient(this.#settings(region));
    const { Parameter } = await client.send(
      new GetParameterCommand({ Name: name }),
    );
    return Parameter?.Value;
  }

  async deregister(region: string, imageId: string): Promise<void> {
    await this.client(region).send(
      new DeregisterImageCommand({ ImageId: imageId }),
    );
  }

  client(region: string): EC2Client {
    return new EC2Client(this.#settings(region));
  }

  #settings(region: string) {
    const credentials = {
      accessKeyId: anyCredentials.AWS_ACCESS_KEY_ID,
      secretAccessKey: anyCredentials.AWS_SECRET_ACCESS_KEY,
    };
    return { region, endpoint: this.proxy.url, credentials, maxAttempts: 1 };
  }
}
