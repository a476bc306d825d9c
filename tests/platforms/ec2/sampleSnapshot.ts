/** A small image in a store, and the snapshot that a stack has of it. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DescribeSnapshotsCommand, type Snapshot } from "@aws-sdk/client-ec2";
import type { AwsAccess } from "../../../infra/aws/access.ts";
import { ec2Client } from "../../../infra/aws/clients.ts";
import type {
  DefinitionName,
  ImageKey,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import type {
  EbsSnapshotInputs,
  EbsSnapshotOutputs,
} from "../../../infra/platforms/ec2/ebsSnapshotProvider.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { openStore } from "../../../infra/store/openStore.ts";
import type { Sha256 } from "../../../infra/store/store.ts";
import { randomDisk } from "./disks.ts";

/** Puts a disk with random bytes in some blocks into a store. */
export async function storeDisk(
  address: string,
  sizeBytes: number,
  dataBlocks: Iterable<number>,
): Promise<Sha256> {
  const store = openStore(address);
  const { sha256 } = await store.withIncoming(async (incoming) => {
    const path = join(incoming, "disk.raw");
    await randomDisk(path, sizeBytes, dataBlocks);
    return store.adopt(path);
  });
  return sha256;
}

/** What a stack would give the resource. */
export function sampleInputs(
  access: AwsAccess,
  store: string,
  rawSha256: string,
): EbsSnapshotInputs {
  return {
    stack: "organization/cloud-images/prod",
    store,
    key: "b".repeat(64) as ImageKey,
    definition: "debian-13-ec2-amd64" as DefinitionName,
    label: "debian-13-ec2-amd64-bbbbbbbbbbbb",
    version: "20261121-1" as ImageVersion,
    rawSha256,
    access,
    method: "ebs-direct",
    zeroBlocks: "send",
    readBack: "all",
    amiName: "debian-13-ec2-amd64-20261121-1",
    tags: { team: "images" },
    atOnce: { inPlace: 3, inAll: 8 },
  };
}

/** Starts a process that makes the snapshot, as the engine's would, and prints its outputs. */
export function createElsewhere(inputs: EbsSnapshotInputs): ChildProcess {
  const source = `
    import { implementation } from "./infra/platforms/ec2/ebsSnapshotProvider.ts";
    console.log = () => {};
    const { outputs } = await implementation.create(${JSON.stringify(inputs)});
    process.stdout.write(JSON.stringify(outputs));
  `;
  return spawn(
    process.execPath,
    ["--no-warnings", "--input-type=module-typescript", "--eval", source],
    { cwd: projectPath("."), stdio: ["ignore", "pipe", "inherit"] },
  );
}

/** The outputs that such a process prints. */
export async function outputsOf(
  child: ChildProcess,
): Promise<EbsSnapshotOutputs> {
  let text = "";
  child.stdout?.on("data", (part: Buffer) => {
    text += part;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`It ended with ${code}.`);
  return JSON.parse(text) as EbsSnapshotOutputs;
}

/** All snapshots of the account in a region. */
export async function allSnapshots(
  access: AwsAccess,
): Promise<readonly Snapshot[]> {
  const { Snapshots = [] } = await ec2Client(access).send(
    new DescribeSnapshotsCommand({ OwnerIds: ["self"] }),
  );
  return Snapshots;
}
