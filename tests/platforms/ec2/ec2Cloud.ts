/** EC2 for a test: moto, strictly stood before, and what its owner sees of it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CompleteSnapshotCommand,
  EBSClient,
  StartSnapshotCommand,
} from "@aws-sdk/client-ebs";
import {
  DeregisterImageCommand,
  DescribeImageAttributeCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  EC2Client,
  type Image,
  type Snapshot,
} from "@aws-sdk/client-ec2";
import {
  GetParameterCommand,
  PutParameterCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { fromTemporaryCredentials } from "@aws-sdk/credential-providers";
import { keptVariable } from "../../doubles/aws/cloud.ts";
import { ShownImages } from "../../doubles/aws/shownImages.ts";
import type { AwsProxy } from "../../servers/awsProxy.ts";
import { anyCredentials, StrictAws } from "../../servers/strictAws.ts";

/** The role that a stack takes on in an account of a test. */
export function roleIn(account: string): string {
  return `arn:aws:iam::${account}:role/cloud-images-release`;
}

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
  async images(
    region: string,
    account?: string,
  ): Promise<ReadonlyMap<string, Image>> {
    const { Images = [] } = await this.client(region, account).send(
      new DescribeImagesCommand({ Owners: ["self"] }),
    );
    return new Map(Images.map((image) => [image.Name ?? "", image]));
  }

  /** The owner's snapshots in a region that were not made by moto itself. */
  async snapshots(
    region: string,
    account?: string,
  ): Promise<readonly Snapshot[]> {
    const { Snapshots = [] } = await this.client(region, account).send(
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

  async setParameter(
    region: string,
    name: string,
    value: string,
  ): Promise<void> {
    await new SSMClient(this.#settings(region)).send(
      new PutParameterCommand({ Name: name, Value: value, Overwrite: true }),
    );
  }

  async deregister(region: string, imageId: string): Promise<void> {
    await this.client(region).send(
      new DeregisterImageCommand({ ImageId: imageId }),
    );
  }

  /**
   * A snapshot of somebody else's, completed.
   * @returns its id
   */
  async makeForeignSnapshot(region: string): Promise<string> {
    const ebs = new EBSClient(this.#settings(region));
    const started = await ebs.send(new StartSnapshotCommand({ VolumeSize: 1 }));
    const SnapshotId = started.SnapshotId as string;
    const command = { SnapshotId, ChangedBlocksCount: 0 };
    await ebs.send(new CompleteSnapshotCommand(command));
    return SnapshotId;
  }

  /** @param account another than the usual one, seen by the role that the stack takes on there */
  client(region: string, account?: string): EC2Client {
    return new EC2Client(this.#settings(region, account));
  }

  #settings(region: string, account?: string) {
    const own = {
      accessKeyId: anyCredentials.AWS_ACCESS_KEY_ID,
      secretAccessKey: anyCredentials.AWS_SECRET_ACCESS_KEY,
    };
    const endpoint = this.proxy.url;
    const credentials =
      account === undefined
        ? own
        : fromTemporaryCredentials({
            masterCredentials: own,
            params: { RoleArn: roleIn(account), RoleSessionName: "test" },
            clientConfig: { region, endpoint },
          });
    return { region, endpoint, credentials, maxAttempts: 1 };
  }
}
