/** A region with instances, in which the tests of the volume method make snapshots: moto, and what it lacks. */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateVolumeCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  RunInstancesCommand,
  type Snapshot,
  type Volume,
} from "@aws-sdk/client-ec2";
import { ec2Client } from "../../../infra/aws/clients.ts";
import type {
  ReadBackRequest,
  SnapshotRequest,
} from "../../../infra/platforms/ec2/snapshotRequest.ts";
import { blockBytes } from "../../../infra/platforms/ec2/snapshotRequest.ts";
import type { VolumeSettings } from "../../../infra/platforms/ec2/workplace.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import type { Sha256 } from "../../../infra/store/store.ts";
import { AwsProxy } from "../../servers/awsProxy.ts";
import { InstanceMetadata } from "../../servers/instanceMetadata.ts";
import type { LocalServer } from "../../servers/localServer.ts";
import { StrictVolumes } from "../../servers/strictVolumes.ts";

export const region = "eu-central-1";
const accountId = "123456789012";

/** Tags of an image's, of which one is not by what it is found again. */
const identityTags = { "cloud-images:stack": "organization/images/test" };

/** Blocks of the image that are not zeros; the last one is short. */
const dataBlocks = [0, 1, 4, 8];
const shortBytes = 4096;

const quick = { firstPauseSeconds: 0.005, longestPauseSeconds: 0.05 };

/** A part of the cloud that a test has to itself. Disposing of it ends its servers and removes its files. */
export class VolumeCloud implements AsyncDisposable {
  readonly directory: string;
  readonly proxy: AwsProxy;
  readonly volumes: StrictVolumes;
  readonly #instances: InstanceMetadata[] = [];

  private constructor(
    directory: string,
    proxy: AwsProxy,
    volumes: StrictVolumes,
  ) {
    this.directory = directory;
    this.proxy = proxy;
    this.volumes = volumes;
  }

  /** Forgets what moto has, and begins anew. */
  static async begin(moto: LocalServer): Promise<VolumeCloud> {
    await fetch(`${moto.url}/moto-api/reset`, { method: "POST" });
    const directory = await mkdtemp(join(tmpdir(), "volumes-"));
    const volumes = new StrictVolumes(directory);
    const proxy = await AwsProxy.start(moto.url, [volumes]);
    return new VolumeCloud(directory, proxy, volumes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    for (const instance of this.#instances) {
      await instance[Symbol.asyncDispose]();
    }
    await rm(this.directory, { recursive: true, force: true });
  }

  get access() {
    return { region, endpoint: this.proxy.url };
  }

  get ec2() {
    return ec2Client(this.access);
  }

  /** Starts an instance; the answer is what a program that runs on it finds. */
  async instance(
    availabilityZone = `${region}a`,
    system: "nitro" | "xen" = "nitro",
  ): Promise<VolumeSettings & { readonly instanceId: string }> {
    const { Instances = [] } = await this.ec2.send(
      new RunInstancesCommand({
        ImageId: "ami-12345678",
        MinCount: 1,
        MaxCount: 1,
        Placement: { AvailabilityZone: availabilityZone },
      }),
    );
    const instanceId = Instances[0]?.InstanceId ?? "";
    const roots = await this.volumes.addInstance(
      instanceId,
      availabilityZone,
      system,
    );
    const identity = { instanceId, accountId, region, availabilityZone };
    const metadata = await InstanceMetadata.start(identity);
    this.#instances.push(metadata);
    return {
      instanceId,
      roots,
      metadata: metadata.url,
      patience: {
        call: { seconds: 10, ...quick },
        state: { seconds: 5, ...quick },
        device: { seconds: 1, ...quick },
        snapshot: { seconds: 5, ...quick },
      },
    };
  }

  /** An image of a little more than 4 MiB, and what is to become of it. */
  async image(
    changes: Partial<SnapshotRequest> = {},
    content: Buffer = imageContent(),
  ): Promise<SnapshotRequest> {
    const label = `image-${randomBytes(4).toString("hex")}`;
    const rawPath = join(this.directory, `${label}.raw`);
    await writeFile(rawPath, content);
    const identity = { ...identityTags, "cloud-images:image": label };
    return {
      access: this.access,
      label,
      rawPath,
      rawSha256: sha256Of(content),
      sizeBytes: content.length,
      token: label,
      description: `The image ${label}`,
      tags: { Name: label, ...identity },
      identityTags: identity,
      zeroBlocks: "send",
      ...changes,
    };
  }

  /** Volumes of moto that carry a tag of ours. */
  async ownVolumes(): Promise<Volume[]> {
    const { Volumes = [] } = await this.ec2.send(
      new DescribeVolumesCommand({
        Filters: [{ Name: "tag-key", Values: ["cloud-images:stack"] }],
      }),
    );
    return Volumes;
  }

  /** The snapshots of an image. */
  async snapshots({ label }: SnapshotRequest): Promise<Snapshot[]> {
    const { Snapshots = [] } = await this.ec2.send(
      new DescribeSnapshotsCommand({
        Filters: [{ Name: "tag:cloud-images:image", Values: [label] }],
      }),
    );
    return Snapshots;
  }

  /**
   * Whether a snapshot holds an image, and zeros after it.
   *
   * @param readBytes how much of it is read
   */
  async holds(
    snapshotId: string,
    { rawPath, sizeBytes }: SnapshotRequest,
    readBytes = sizeBytes + 4 * blockBytes,
  ): Promise<boolean> {
    await using snapshot = await open(this.volumes.snapshotPath(snapshotId));
    await using image = await open(rawPath);
    const wanted = await image.readFile();
    const found = Buffer.alloc(blockBytes);
    for (let start = 0; start < readBytes; start += blockBytes) {
      const block = Buffer.alloc(blockBytes);
      wanted.subarray(start, start + blockBytes).copy(block);
      await snapshot.read(found, 0, blockBytes, start);
      if (!found.equals(block)) return false;
    }
    return (await snapshot.stat()).size === 1024 ** 3;
  }

  /** A volume of somebody else's, which is attached by the first name that we would take. */
  async foreignVolume(): Promise<string> {
    const { VolumeId = "" } = await this.ec2.send(
      new CreateVolumeCommand({ Size: 1, AvailabilityZone: `${region}a` }),
    );
    return VolumeId;
  }
}

/** What a read-back of an image's snapshot asks for. */
export function readBackOf(
  { access, label, rawPath, rawSha256, sizeBytes }: SnapshotRequest,
  snapshotId: string,
): ReadBackRequest {
  const disk = { rawPath, rawSha256, sizeBytes };
  return { ...disk, access, label, snapshotId, extent: "all" };
}

export function sha256Of(content: Buffer): Sha256 {
  return createHash("sha256").update(content).digest("hex") as Sha256;
}

function imageContent(): Buffer {
  const content = Buffer.alloc(8 * blockBytes + shortBytes);
  for (const index of dataBlocks) {
    randomBytes(shortBytes).copy(content, index * blockBytes);
  }
  return content;
}

/** Runs a step of the method in a process of its own, whose credentials are good. */
export function runStep(
  step: "make" | "readBack",
  request: SnapshotRequest | ReadBackRequest,
  settings: VolumeSettings,
  prefix: readonly string[] = [],
): ChildProcess {
  const program = projectPath("tests/platforms/ec2/volumeRun.ts");
  const [command = process.execPath, ...args] = [
    ...prefix,
    process.execPath,
    "--no-warnings",
    program,
    JSON.stringify({ step, request, settings }),
  ];
  return spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env },
  });
}

/** What a process printed, and how it ended. */
export async function endOf(
  child: ChildProcess,
): Promise<{ readonly ended: number | string; readonly output: string }> {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code, signal] = (await once(child, "close")) as [
    number | null,
    string | null,
  ];
  return { ended: code ?? signal ?? "", output };
}
