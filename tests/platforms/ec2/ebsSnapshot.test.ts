/** The resource: what it makes, finds, heals and removes, and what it leaves alone. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTagsCommand,
  DeleteSnapshotCommand,
  DeleteTagsCommand,
  type EC2Client,
  RegisterImageCommand,
  type Snapshot,
} from "@aws-sdk/client-ec2";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  expect,
  test,
  vi,
} from "vitest";
import { ec2Client } from "../../../infra/aws/clients.ts";
import type { ImageKey } from "../../../infra/definitions/definition.ts";
import type { Made } from "../../../infra/dynamic/provider.ts";
import { UserError, WrongCopyError } from "../../../infra/errors.ts";
import {
  type EbsSnapshotInputs,
  type EbsSnapshotOutputs,
  implementation,
} from "../../../infra/platforms/ec2/ebsSnapshotProvider.ts";
import { blockBytes } from "../../../infra/platforms/ec2/snapshotRequest.ts";
import { apiTags, identityTags } from "../../../infra/platforms/ec2/tags.ts";
import { verifyAmi } from "../../../infra/platforms/ec2/verifyAmi.ts";
import { inTurn } from "../../../infra/platforms/uploads.ts";
import type { Sha256 } from "../../../infra/store/store.ts";
import { corruptAnswer, firstCalls, refuse } from "../../servers/awsFaults.ts";
import { isCall, type ProxyRule } from "../../servers/awsProxy.ts";
import { motoAccount } from "../../servers/moto.ts";
import { anyCredentials, StrictAws } from "../../servers/strictAws.ts";
import { range } from "./disks.ts";
import {
  allSnapshots,
  createElsewhere,
  outputsOf,
  sampleInputs,
  storeDisk,
} from "./sampleSnapshot.ts";

const sizeBytes = 32 * 1024 ** 2;
const dataBlocks = range(0, 26);
const unchanged = { replaces: [], updates: [] };

let aws: StrictAws;
let directory: string;
let store: string;
let rawSha256: Sha256;
const rules: (() => void)[] = [];

beforeAll(async () => {
  for (const [name, value] of Object.entries(anyCredentials)) {
    vi.stubEnv(name, value);
  }
  vi.spyOn(console, "log").mockImplementation(() => {});
  directory = await mkdtemp(join(tmpdir(), "ebs-snapshot-"));
  store = join(directory, "store");
  aws = await StrictAws.start();
  rawSha256 = await storeDisk(store, sizeBytes, dataBlocks);
});

afterAll(async () => {
  await aws?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(() => aws.reset());

afterEach(() => {
  for (const remove of rules.splice(0)) remove();
});

test("a snapshot is made, tagged and proven, and stays as it is", async () => {
  const { id, outputs } = await implementation.create(inputs());
  expect(id).toBe("eu-central-1/debian-13-ec2-amd64-20261121-1");
  expect(outputs).toEqual({
    ...inputs(),
    snapshotId: expect.stringMatching(/^snap-/),
    volumeSizeGiB: 1,
    sentBytes: dataBlocks.length * blockBytes,
    verification: {
      sha256: rawSha256,
      readBlocks: 64,
      allBlocks: 64,
      verifiedAt: expect.any(String),
    },
    problems: [],
  });
  const [snapshot] = await snapshots();
  expect(snapshot?.Description).toBe(
    `debian-13-ec2-amd64 20261121-1, sha256 ${rawSha256}`,
  );
  expect(tagsOf(snapshot)).toEqual({
    Name: "debian-13-ec2-amd64-20261121-1",
    team: "images",
    "cloud-images:stack": "organization/cloud-images/prod",
    "cloud-images:key": inputs().key,
    "cloud-images:image": "debian-13-ec2-amd64-20261121-1",
    "cloud-images:definition": "debian-13-ec2-amd64",
    "cloud-images:version": "20261121-1",
    "cloud-images:raw-sha256": rawSha256,
    "cloud-images:zero-blocks": "send",
  });
  expect(await implementation.read(id, outputs)).toEqual(outputs);
  expect(implementation.diff(outputs, inputs())).toEqual(unchanged);
  await implementation.delete(id, outputs);
  expect(await snapshots()).toEqual([]);
  await implementation.delete(id, outputs);
  expect(await implementation.read(id, outputs)).toBeUndefined();
});

test("a disk waits for its turn among all that is sent anywhere", async () => {
  const other = Promise.withResolvers<void>();
  const sent = inTurn(1, () => other.promise);
  const made = implementation.create(
    inputs({ atOnce: { inPlace: 1, inAll: 1 } }),
  );
  await vi.waitFor(
    () => expect(aws.proxy.count("ec2", "DescribeImages")).toBe(1),
    10_000,
  );
  await sleep(300);
  expect(aws.proxy.count("ebs", "StartSnapshot")).toBe(0);
  other.resolve();
  await sent;
  const { id, outputs } = await made;
  await implementation.delete(id, outputs);
});

test("an image that failed and was allowed to has none, and gets one later", async () => {
  const { version: _, rawSha256: __, ...failed } = inputs();
  const { id, outputs } = await implementation.create(failed);
  expect(outputs).toEqual({ ...failed, sentBytes: 0, problems: [] });
  expect(aws.proxy.calls).toEqual([]);
  expect(implementation.diff(outputs, failed)).toEqual(unchanged);
  const difference = implementation.diff(outputs, inputs());
  expect(difference.replaces).toEqual([]);
  expect(difference.updates).toContain("version");
  const made = await implementation.update(id, outputs, inputs());
  expect(made.verification?.sha256).toBe(rawSha256);
  // What there is stays while nothing better can be had.
  expect(implementation.diff(made, failed)).toEqual(unchanged);
});

test.each([
  ["key", { key: "c".repeat(64) as ImageKey }],
  ["access", { access: { region: "eu-west-1" } }],
  ["amiName", { amiName: "another" }],
  ["zeroBlocks", { zeroBlocks: "skip" }],
  ["encryption", { encryption: {} }],
] as const)("another %s calls for another snapshot", (name, change) => {
  const difference = implementation.diff(someOutputs(), inputs(change));
  expect(difference.replaces).toEqual([name]);
});

test.each([
  ["tags", { tags: { team: "others" } }],
  ["readBack", { readBack: { blocks: 3 } }],
] as const)("other %s do not", (name, change) => {
  expect(implementation.diff(someOutputs(), inputs(change))).toEqual({
    replaces: [],
    updates: [name],
  });
});

test("how the place is reached, and where the image is kept, may change", () => {
  const access = { ...aws.access(), profile: "other" };
  const moved = inputs({ access, store: "/elsewhere", label: "renamed" });
  expect(implementation.diff(someOutputs(), moved)).toEqual({
    replaces: [],
    updates: ["store", "access"],
  });
});

test("naming the account that it is in anyway makes nothing anew", () => {
  const access = { ...aws.access(), account: motoAccount };
  const { replaces } = implementation.diff(someOutputs(), inputs({ access }));
  expect(replaces).toEqual([]);
});

test("lost tags show in a refresh, and are put back without sending anything", async () => {
  const { id, outputs } = await implementation.create(inputs());
  const Resources = [outputs.snapshotId ?? ""];
  await ec2().send(
    new DeleteTagsCommand({
      Resources,
      Tags: [{ Key: "cloud-images:stack" }, { Key: "team" }],
    }),
  );
  const seen = await refreshed(id, outputs);
  expect(seen.problems).toEqual([
    `the snapshot ${outputs.snapshotId} has lost some of its tags`,
  ]);
  expect(implementation.diff(seen, inputs()).updates).toEqual(["problems"]);
  aws.proxy.forget();
  const healed = await implementation.update(id, seen, inputs());
  expect(healed).toEqual(outputs);
  expect(aws.proxy.count("ebs", "PutSnapshotBlock")).toBe(0);
  const [snapshot] = await snapshots();
  expect(tagsOf(snapshot)).toMatchObject({ team: "images" });
  const changed = inputs({ tags: { owner: "us" } });
  await implementation.update(id, healed, changed);
  const tags = tagsOf((await snapshots())[0]);
  expect(tags).toMatchObject({ owner: "us" });
  expect(tags).not.toHaveProperty("team");
});

test("a deleted snapshot shows in a refresh, and is made again", async () => {
  const { id, outputs } = await implementation.create(inputs());
  const SnapshotId = outputs.snapshotId;
  await ec2().send(new DeleteSnapshotCommand({ SnapshotId }));
  expect(await implementation.read(id, outputs)).toBeUndefined();
  const again = await implementation.create(inputs());
  expect(again.outputs.snapshotId).not.toBe(SnapshotId);
  expect(await snapshots()).toHaveLength(1);
});

test("one that the state does not know is adopted after it was read", async () => {
  const first = await implementation.create(inputs());
  aws.proxy.forget();
  const { outputs } = await implementation.create(inputs());
  expect(outputs.snapshotId).toBe(first.outputs.snapshotId);
  expect(outputs).toMatchObject({
    sentBytes: 0,
    verification: { sha256: rawSha256 },
  });
  expect(aws.proxy.count("ebs", "GetSnapshotBlock")).toBe(dataBlocks.length);
  expect(aws.proxy.count("ebs", "StartSnapshot")).toBe(0);
});

test("one that holds something else is not adopted but made again", async () => {
  const first = await implementation.create(inputs());
  breaking(
    corruptAnswer(
      ({ action, path }) =>
        action === "GetSnapshotBlock" &&
        path.startsWith(`/snapshots/${first.outputs.snapshotId}/blocks/3?`),
    ),
  );
  const { outputs } = await implementation.create(inputs());
  expect(outputs.snapshotId).not.toBe(first.outputs.snapshotId);
  expect(await snapshots()).toHaveLength(1);
});

test("a new one that holds something else is removed, and the block is named", async () => {
  const repair = breaking(corruptAnswer(isCall("ebs", "GetSnapshotBlock")));
  const making = implementation.create(inputs());
  await expect(making).rejects.toThrow(WrongCopyError);
  await expect(making).rejects.toThrow(/Block [0-9]+ of the snapshot snap-/);
  expect(await snapshots()).toEqual([]);
  repair();
  await implementation.create(inputs());
  expect(await snapshots()).toHaveLength(1);
});

test("what a failed attempt had begun is known, is finished, and goes", async () => {
  const refusal = refuse(
    isCall("ebs", "PutSnapshotBlock"),
    ...(["AccessDeniedException", "Not today."] as const),
  );
  const repair = breaking(refusal);
  const begun: Made<EbsSnapshotOutputs>[] = [];
  const begin = (made: Made<EbsSnapshotOutputs>) => void begun.push(made);
  await expect(implementation.create(inputs(), begin)).rejects.toThrow();
  const { id, outputs } = begun[0] ?? expect.fail("Nothing was begun.");
  expect(await snapshots()).toHaveLength(1);
  expect(await implementation.read(id, outputs)).toEqual(outputs);
  const { replaces, updates } = implementation.diff(outputs, inputs());
  expect(replaces).toEqual([]);
  expect(updates).toContain("problems");
  repair();
  const finished = await implementation.update(id, outputs, inputs());
  expect(finished.problems).toEqual([]);
  expect(await snapshots()).toHaveLength(1);
  await implementation.delete(id, outputs);
  expect(await snapshots()).toEqual([]);
  expect(await implementation.read(id, outputs)).toBeUndefined();
});

test("a name that something else has is told before anything is sent, and that stays", async () => {
  const Name = inputs().amiName;
  const { ImageId = "" } = await ec2().send(new RegisterImageCommand({ Name }));
  const before = await snapshots();
  aws.proxy.forget();
  await expect(implementation.create(inputs())).rejects.toThrow(
    `The AMI ${ImageId} in eu-central-1 has the name "${Name}" already, and is not of this image. Deregister it`,
  );
  expect(aws.proxy.actions()).toEqual([
    "ec2:DescribeImages",
    "ec2:DescribeSnapshots",
  ]);
  expect(await snapshots()).toEqual(before);
  // The same one, were it ours.
  await ec2().send(
    new CreateTagsCommand({
      Resources: [ImageId],
      Tags: apiTags(identityTags(inputs())),
    }),
  );
  await implementation.create(inputs());
});

test("credentials of another account change nothing", async () => {
  const access = { ...aws.access(), account: "999999999999" };
  const making = implementation.create(inputs({ access }));
  await expect(making).rejects.toThrow(UserError);
  await expect(making).rejects.toThrow(
    `The AWS credentials are of the account ${motoAccount}, but for eu-central-1 the configuration has account: "999999999999".`,
  );
  expect(aws.proxy.actions()).toEqual(["sts:GetCallerIdentity"]);
  const own = { ...aws.access(), account: motoAccount };
  const { id, outputs } = await implementation.create(inputs({ access: own }));
  const elsewhere = { ...outputs, access };
  // Neither is it taken for deleted.
  await expect(implementation.read(id, elsewhere)).rejects.toThrow(UserError);
  await expect(implementation.delete(id, elsewhere)).rejects.toThrow(UserError);
  expect(await snapshots()).toHaveLength(1);
});

test("what does not carry our tags is not deleted", async () => {
  const { id, outputs } = await implementation.create(inputs());
  const other = await implementation.create(
    inputs({ stack: "organization/cloud-images/other" }),
  );
  await ec2().send(
    new DeleteTagsCommand({
      Resources: [outputs.snapshotId ?? ""],
      Tags: [{ Key: "cloud-images:key" }],
    }),
  );
  await implementation.delete(id, outputs);
  expect(
    (await snapshots()).map(({ SnapshotId }) => SnapshotId).sort(),
  ).toEqual([outputs.snapshotId, other.outputs.snapshotId].sort());
});

test("a snapshot that EC2 still takes for used is deleted a little later", async () => {
  const { id, outputs } = await implementation.create(inputs());
  const inUse = "The snapshot is currently in use by ami-1";
  const deletes = isCall("ec2", "DeleteSnapshot");
  breaking(firstCalls(1, refuse(deletes, "InvalidSnapshot.InUse", inUse)));
  await implementation.delete(id, outputs);
  expect(await snapshots()).toEqual([]);
});

test("a region that refuses everything fails with a sentence while another goes on", async () => {
  breaking(
    refuse(
      ({ region }) => region === "eu-north-1",
      "UnauthorizedOperation",
      "You are not authorized to perform this operation.",
      403,
    ),
  );
  const [bad, good] = await Promise.allSettled([
    implementation.create(inputs({ access: aws.access("eu-north-1") })),
    implementation.create(inputs()),
  ]);
  expect(bad).toMatchObject({
    status: "rejected",
    reason: {
      name: "UserError",
      message: expect.stringContaining("in eu-north-1"),
    },
  });
  expect(good.status).toBe("fulfilled");
});

test("two processes at once end with one snapshot, and one upload", async () => {
  const [one, other] = await Promise.all(
    [1, 2].map(() => outputsOf(createElsewhere(inputs()))),
  );
  expect(one?.snapshotId).toBe(other?.snapshotId);
  expect(await snapshots()).toHaveLength(1);
  expect(aws.proxy.count("ebs", "PutSnapshotBlock")).toBe(dataBlocks.length);
});

test("anyone can tell what an AMI holds", async () => {
  const { outputs } = await implementation.create(inputs());
  // moto keeps no mappings of an image: what it would say is put in on the way.
  breaking({
    matches: isCall("ec2", "DescribeImages"),
    async act(call, forward) {
      const answer = await forward(call);
      if (answer === "cut") return answer;
      const text = answer.body
        .toString()
        .replaceAll(/<snapshotId>[^<]*</g, `<snapshotId>${outputs.snapshotId}<`)
        .replaceAll(/<volumeSize>[^<]*</g, "<volumeSize>1<");
      return { ...answer, body: Buffer.from(text) };
    },
  });
  const { ImageId = "" } = await ec2().send(
    new RegisterImageCommand({ Name: "an AMI" }),
  );
  expect(await verifyAmi(aws.access(), ImageId, () => {}, sizeBytes)).toEqual({
    imageId: ImageId,
    name: "an AMI",
    snapshotId: outputs.snapshotId,
    sha256: rawSha256,
    sizeBytes,
    taggedSha256: undefined,
  });
  await expect(
    verifyAmi(aws.access(), ImageId, () => {}, sizeBytes / 32),
  ).rejects.toThrow(/has data in block 2, behind the image's 1048576 bytes/);
  await expect(
    verifyAmi(aws.access(), "ami-00000000000000000", () => {}),
  ).rejects.toThrow("There is no AMI ami-00000000000000000 in eu-central-1");
});

function breaking(rule: ProxyRule): () => void {
  const remove = aws.proxy.add(rule);
  rules.push(remove);
  return remove;
}

function inputs(changes: Partial<EbsSnapshotInputs> = {}): EbsSnapshotInputs {
  return { ...sampleInputs(aws.access(), store, rawSha256), ...changes };
}

function someOutputs(): EbsSnapshotOutputs {
  const made = { snapshotId: "snap-1", volumeSizeGiB: 1, sentBytes: 1 };
  return { ...inputs(), ...made, problems: [] };
}

async function refreshed(id: string, outputs: EbsSnapshotOutputs) {
  const seen = await implementation.read(id, outputs);
  if (seen === undefined) throw new Error("It is gone.");
  return seen;
}

function snapshots(): Promise<readonly Snapshot[]> {
  return allSnapshots(aws.access());
}

function ec2(): EC2Client {
  return ec2Client(aws.access());
}

function tagsOf(snapshot: Snapshot | undefined): Record<string, string> {
  return Object.fromEntries(
    snapshot?.Tags?.map(({ Key, Value }) => [Key, Value]) ?? [],
  );
}
