/** Uploads and read-back against moto, behind a proxy that is as strict as Amazon and breaks what it is told to. */

import { copyFile, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DeleteSnapshotCommand,
  DescribeSnapshotsCommand,
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
import {
  PublicationError,
  UserError,
  WrongCopyError,
} from "../../../infra/errors.ts";
import {
  ebsDirect,
  usualSettings,
} from "../../../infra/platforms/ec2/ebsDirect.ts";
import {
  blockBytes,
  type RawDisk,
  type SnapshotRequest,
} from "../../../infra/platforms/ec2/snapshotRequest.ts";
import {
  corruptAnswer,
  corruptRequest,
  cutAfter,
  cutBefore,
  expireCredentials,
  firstCalls,
  forMilliseconds,
  refuse,
  serverError,
  throttle,
} from "../../servers/awsFaults.ts";
import {
  type ApiCall,
  isCall,
  type ProxyRule,
} from "../../servers/awsProxy.ts";
import { anyCredentials, StrictAws } from "../../servers/strictAws.ts";
import { randomDisk, range } from "./disks.ts";

const mebibyte = 1024 ** 2;
/** The last block is short. */
const sizeBytes = 32 * mebibyte + 1000;
const allBlocks = 65;
const dataBlocks = [0, ...range(10, 40), 50, 64];

/** The real code, in a hurry. */
const settings = {
  ...usualSettings,
  concurrency: 6,
  patience: { seconds: 5, firstPauseSeconds: 0.02, longestPauseSeconds: 0.2 },
  readySeconds: 1,
  readyPollSeconds: 0.05,
};
const method = ebsDirect(settings);

let aws: StrictAws;
let directory: string;
let disk: RawDisk;
const lines: string[] = [];
const tell = (line: string) => lines.push(line);
const rules: (() => void)[] = [];

beforeAll(async () => {
  for (const [name, value] of Object.entries(anyCredentials)) {
    vi.stubEnv(name, value);
  }
  directory = await mkdtemp(join(tmpdir(), "ebs-direct-"));
  aws = await StrictAws.start();
  disk = await randomDisk(join(directory, "disk.raw"), sizeBytes, dataBlocks);
});

afterAll(async () => {
  await aws?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  lines.length = 0;
  await aws.reset();
  Object.assign(aws.ebs.settings, {
    readyMilliseconds: 0,
    pageBlocks: 1000,
    blockTokenUses: Number.POSITIVE_INFINITY,
  });
});

afterEach(() => {
  for (const remove of rules.splice(0)) remove();
});

test("a snapshot has the disk's data, and proves it block by block", async () => {
  const made = await method.make(request(), tell);
  expect(made).toEqual({
    snapshotId: expect.stringMatching(/^snap-/),
    volumeSizeGiB: 1,
    sentBytes: dataBlocks.length * blockBytes,
  });
  const [snapshot] = await ourSnapshots();
  expect(snapshot).toMatchObject({
    SnapshotId: made.snapshotId,
    State: "completed",
    VolumeSize: 1,
    Description: "An image",
  });
  expect([...sent(made.snapshotId)].toSorted((a, b) => a - b)).toEqual(
    dataBlocks,
  );
  expect(await readBack(made.snapshotId)).toEqual({
    sha256: disk.rawSha256,
    readBlocks: allBlocks,
    allBlocks,
    verifiedAt: expect.any(String),
  });
});

test("throttling that lasts is outlasted, with ever longer pauses", async () => {
  const puts = isCall("ebs", "PutSnapshotBlock");
  breaking(forMilliseconds(1500, throttle(puts)));
  breaking(firstCalls(3, throttle(isCall("ec2", "DescribeSnapshots"))));
  const { snapshotId } = await method.make(request(), tell);
  await expectWhole(snapshotId);
  // The pauses of the settings allow each of 6 workers 3 attempts at first, and 10 a second later.
  const refused =
    aws.proxy.count("ebs", "PutSnapshotBlock") - dataBlocks.length;
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(6 * (3 + 15));
});

test("throttling for longer than the patience ends with a sentence, and the next attempt goes on", async () => {
  const impatient = ebsDirect({
    ...settings,
    patience: { ...settings.patience, seconds: 0.5 },
  });
  const repair = breaking(
    throttle((call) => call.action === "PutSnapshotBlock" && call.count > 5),
  );
  await expect(impatient.make(request(), tell)).rejects.toThrow(
    /AWS did not write block [0-9]+ of the snapshot snap-\w+ in eu-central-1 for as long as it was tried \(RequestThrottledException: Slow down\.\)\. Run again/,
  );
  const [left] = await ourSnapshots();
  repair();
  const { snapshotId } = await method.make(request(), tell);
  expect(snapshotId).toBe(left?.SnapshotId);
  await expectWhole(snapshotId);
});

test("errors of the server and cut connections are tried again, also when the call took effect", async () => {
  const put = isCall("ebs", "PutSnapshotBlock");
  breaking(firstCalls(5, cutAfter(put)));
  breaking(firstCalls(5, cutBefore(put)));
  breaking(firstCalls(5, serverError(put)));
  breaking(firstCalls(1, cutAfter(isCall("ebs", "StartSnapshot"))));
  breaking(firstCalls(1, cutAfter(isCall("ebs", "CompleteSnapshot"))));
  breaking(firstCalls(2, serverError(isCall("ebs", "StartSnapshot"))));
  breaking(firstCalls(2, serverError(isCall("ebs", "GetSnapshotBlock"))));
  breaking(firstCalls(2, cutBefore(isCall("ebs", "ListSnapshotBlocks"))));
  breaking(firstCalls(2, serverError(isCall("ec2", "DescribeSnapshots"))));
  const made = await method.make(request(), tell);
  expect(made.sentBytes).toBe((dataBlocks.length + 15) * blockBytes);
  await expectWhole(made.snapshotId);
});

test("a block that is altered on its way there is refused and sent again", async () => {
  breaking(firstCalls(2, corruptRequest(isCall("ebs", "PutSnapshotBlock"))));
  const { snapshotId, sentBytes } = await method.make(request(), tell);
  expect(sentBytes).toBe((dataBlocks.length + 2) * blockBytes);
  await expectWhole(snapshotId);
});

test("where every block is altered on its way, nothing is completed", async () => {
  breaking(
    corruptRequest(
      (call) => call.action === "PutSnapshotBlock" && call.count > 9,
    ),
  );
  await expect(method.make(request(), tell)).rejects.toThrow(
    /AWS does not take a block of snap-\w+ in eu-central-1 \(ValidationException: The checksum is not that of the data/,
  );
  expect(aws.proxy.count("ebs", "CompleteSnapshot")).toBe(0);
});

test("a block that is altered on its way back is read again", async () => {
  const { snapshotId } = await method.make(request(), tell);
  breaking(firstCalls(1, corruptAnswer(isCall("ebs", "GetSnapshotBlock"))));
  await expectWhole(snapshotId);
});

test("a block that is not what its checksum says is named", async () => {
  const { snapshotId } = await method.make(request(), tell);
  breaking(corruptAnswer(isBlock(12)));
  await expect(readBack(snapshotId)).rejects.toThrow(WrongCopyError);
  await expect(readBack(snapshotId)).rejects.toThrow(
    `Block 12 of the snapshot ${snapshotId} in eu-central-1 is not what its own checksum says.`,
  );
});

test("a snapshot of something else is told by the first block that differs", async () => {
  const { snapshotId } = await method.make(request(), tell);
  const altered = join(directory, "altered.raw");
  await copyFile(disk.rawPath, altered);
  await using file = await open(altered, "r+");
  // In a block of data, and in one that the snapshot does not have.
  for (const [index, at] of [
    [20, 20 * blockBytes + 77],
    [45, 45 * blockBytes],
  ] as const) {
    await file.write(Buffer.from([index]), 0, 1, at);
  }
  const comparison = {
    ...disk,
    access: aws.access(),
    snapshotId,
    label: "an image",
  };
  const read = (extent: "all" | { blocks: number }) =>
    method.readBack({ ...comparison, rawPath: altered, extent }, tell);
  await expect(read("all")).rejects.toThrow(
    `Block 20 of the snapshot ${snapshotId}`,
  );
  await file.write(await blockOf(disk, 20), 0, blockBytes, 20 * blockBytes);
  await expect(read("all")).rejects.toThrow("Block 45 ");
  await expect(read({ blocks: 2 })).rejects.toThrow("Block 45 ");
});

test("a sample is read of the size that was asked for, and claims no more", async () => {
  const { snapshotId } = await method.make(request(), tell);
  aws.proxy.forget();
  expect(await readBack(snapshotId, { blocks: 4 })).toEqual({
    readBlocks: 4,
    allBlocks,
    verifiedAt: expect.any(String),
  });
  expect(aws.proxy.count("ebs", "GetSnapshotBlock")).toBe(4);
  expect(await readBack(snapshotId, { blocks: 1000 })).toMatchObject({
    sha256: disk.rawSha256,
    readBlocks: allBlocks,
  });
});

test("lists come in pages, and tokens of blocks expire", async () => {
  const { snapshotId } = await method.make(request(), tell);
  Object.assign(aws.ebs.settings, { pageBlocks: 7, blockTokenUses: 5 });
  aws.proxy.forget();
  await expectWhole(snapshotId);
  expect(aws.proxy.count("ebs", "ListSnapshotBlocks")).toBeGreaterThan(5);
});

test("an upload that ended goes on in the snapshot that it began", async () => {
  const repair = breaking(
    refuse(
      (call) => call.action === "PutSnapshotBlock" && call.count > 20,
      "AccessDeniedException",
      "No.",
      403,
    ),
  );
  await expect(method.make(request(), tell)).rejects.toThrow(UserError);
  const [left] = await ourSnapshots();
  expect(left?.State).toBe("pending");
  repair();
  const { snapshotId } = await method.make(request(), tell);
  expect(snapshotId).toBe(left?.SnapshotId);
  await expectWhole(snapshotId);
});

test("what was begun for another disk or with other settings is removed, and nothing else", async () => {
  const others = await othersSnapshots();
  const repair = breaking(
    refuse(
      isCall("ebs", "CompleteSnapshot"),
      "AccessDeniedException",
      "No.",
      403,
    ),
  );
  for (const change of [{ description: "Another" }, { encryption: {} }]) {
    await expect(method.make(request(change), tell)).rejects.toThrow(UserError);
  }
  repair();
  const { snapshotId } = await method.make(request(), tell);
  await expectWhole(snapshotId, others);
});

test("a completed snapshot is found again, and nothing is sent", async () => {
  const { snapshotId } = await method.make(request(), tell);
  expect(await method.make(request(), tell)).toEqual({
    snapshotId,
    volumeSizeGiB: 1,
    sentBytes: 0,
  });
});

test("one that was completed when it could not be seen yet is waited for", async () => {
  aws.ebs.settings.readyMilliseconds = Number.POSITIVE_INFINITY;
  const ending = breaking(
    refuse(
      (call) =>
        call.action === "DescribeSnapshots" &&
        aws.proxy.count("ebs", "CompleteSnapshot") > 0,
      "UnauthorizedOperation",
      "No.",
      403,
    ),
  );
  await expect(method.make(request(), tell)).rejects.toThrow(/docs\/ec2\.md/);
  ending();
  const { snapshotId } = await method.make(request(), (line) => {
    tell(line);
    aws.ebs.settings.readyMilliseconds = 0;
  });
  expect(lines.join("\n")).toContain(`waiting for the snapshot ${snapshotId}`);
  await expectWhole(snapshotId);
});

test("one that never becomes ready is removed, and the next attempt begins another", async () => {
  aws.ebs.settings.readyMilliseconds = Number.POSITIVE_INFINITY;
  await expect(method.make(request(), tell)).rejects.toThrow(
    /The snapshot snap-\w+ of an image was not ready [0-9]+ s after its completion\. It was deleted\. Run again/,
  );
  expect(await ourSnapshots()).toEqual([]);
  aws.ebs.settings.readyMilliseconds = 0;
  await expectWhole((await method.make(request(), tell)).snapshotId);
});

test("one that came to nothing is removed, at once or when it is met again", async () => {
  const fail = breaking({
    matches: isCall("ebs", "CompleteSnapshot"),
    async act(call, forward) {
      const answer = await forward(call);
      for (const snapshot of aws.ebs.snapshots.values()) snapshot.failed = true;
      return answer;
    },
  });
  await expect(method.make(request(), tell)).rejects.toThrow("came to nothing");
  expect(await ourSnapshots()).toEqual([]);
  fail();
  const deny = breaking(
    refuse(
      isCall("ebs", "PutSnapshotBlock"),
      "AccessDeniedException",
      "No.",
      403,
    ),
  );
  await expect(method.make(request(), tell)).rejects.toThrow(UserError);
  for (const snapshot of aws.ebs.snapshots.values()) snapshot.failed = true;
  deny();
  await expectWhole((await method.make(request(), tell)).snapshotId);
});

test("one that was deleted behind our back is begun anew, though its token leads to it", async () => {
  const deny = breaking(
    refuse(
      isCall("ebs", "CompleteSnapshot"),
      "AccessDeniedException",
      "No.",
      403,
    ),
  );
  await expect(method.make(request(), tell)).rejects.toThrow(UserError);
  deny();
  const [left] = await ourSnapshots();
  await ec2Client(aws.access()).send(
    new DeleteSnapshotCommand({ SnapshotId: left?.SnapshotId }),
  );
  const { snapshotId } = await method.make(request(), tell);
  expect(snapshotId).not.toBe(left?.SnapshotId);
  await expectWhole(snapshotId);
});

test.each([
  ["ServiceQuotaExceededException", 402],
  ["ConcurrentLimitExceededException", 400],
] as const)("a used-up quota (%s) is told at once", async (code, status) => {
  breaking(refuse(isCall("ebs", "StartSnapshot"), code, "Too many.", status));
  const making = method.make(request(), tell);
  await expect(making).rejects.toThrow(PublicationError);
  await expect(making).rejects.toThrow(
    `AWS does not begin a snapshot of an image in eu-central-1, as a quota of the account is used up (${code}: Too many.). Ask for more under Service Quotas`,
  );
  expect(aws.proxy.count("ebs", "StartSnapshot")).toBe(1);
  expect(await ourSnapshots()).toEqual([]);
});

test("credentials that expire in the middle are fetched anew", async () => {
  const file = join(directory, "credentials");
  const write = (key: string) =>
    writeFile(
      file,
      `[default]\naws_access_key_id = ${key}\naws_secret_access_key = s\naws_session_token = t\n`,
    );
  vi.stubEnv("AWS_ACCESS_KEY_ID", undefined);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", undefined);
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", file);
  try {
    await write("FIRST");
    breaking(
      expireCredentials(
        (key) =>
          key === "FIRST" && aws.proxy.count("ebs", "PutSnapshotBlock") > 15,
      ),
    );
    breaking({
      matches: (call) =>
        call.action === "PutSnapshotBlock" && call.count === 14,
      async act(call, forward) {
        await write("SECOND");
        return forward(call);
      },
    });
    const { snapshotId } = await method.make(request(), tell);
    await expectWhole(snapshotId);
    breaking(expireCredentials((key) => key === "SECOND"));
    const again = method.make(request({ token: "another" }), tell);
    await expect(again).rejects.toThrow(UserError);
    await expect(again).rejects.toThrow(
      /The AWS credentials expired before this could begin a snapshot of an image in eu-central-1, and new ones could not be had \(ExpiredTokenException/,
    );
    expect(aws.proxy.count("ebs", "StartSnapshot")).toBeLessThan(5);
  } finally {
    for (const [name, value] of Object.entries(anyCredentials)) {
      vi.stubEnv(name, value);
    }
  }
});

test("encryption and its key are asked for", async () => {
  const kmsKey = "arn:aws:kms:eu-central-1:123456789012:key/1";
  for (const encryption of [{}, { kmsKey }]) {
    const { snapshotId } = await method.make(
      request({
        encryption,
        token: JSON.stringify(encryption),
        tags: {},
        identityTags: { none: "x" },
      }),
      tell,
    );
    expect(aws.ebs.snapshots.get(snapshotId)).toMatchObject({
      encrypted: true,
      kmsKeyArn: encryption.kmsKey,
    });
  }
});

function breaking(rule: ProxyRule): () => void {
  const remove = aws.proxy.add(rule);
  rules.push(remove);
  return remove;
}

function isBlock(index: number) {
  return ({ action, path }: ApiCall) =>
    action === "GetSnapshotBlock" && path.includes(`/blocks/${index}?`);
}

async function blockOf({ rawPath }: RawDisk, index: number): Promise<Buffer> {
  await using file = await open(rawPath, "r");
  const block = Buffer.alloc(blockBytes);
  await file.read(block, 0, blockBytes, index * blockBytes);
  return block;
}

/** There is this snapshot beside those of others, it is ready, and all of it is the disk. */
async function expectWhole(snapshotId: string, others: readonly string[] = []) {
  const found = (await ourSnapshots()).map(({ SnapshotId }) => SnapshotId);
  expect(found.toSorted()).toEqual([snapshotId, ...others].toSorted());
  expect(await readBack(snapshotId)).toMatchObject({ sha256: disk.rawSha256 });
}

/** Snapshots of another stack, of another key, and of nobody. */
async function othersSnapshots(): Promise<readonly string[]> {
  const mine = request().tags;
  const others = [
    { ...mine, "cloud-images:stack": "o/p/other" },
    { ...mine, "cloud-images:key": "other" },
    {},
  ];
  const made = [];
  for (const tags of others) {
    const identityTags = { none: "none" };
    made.push(
      await method.make(
        request({ tags, identityTags, token: JSON.stringify(tags) }),
        tell,
      ),
    );
  }
  return made.map(({ snapshotId }) => snapshotId);
}

function request(changes: Partial<SnapshotRequest> = {}): SnapshotRequest {
  return {
    ...disk,
    access: aws.access(),
    label: "an image",
    token: "a token",
    description: "An image",
    tags: {
      Name: "an image",
      "cloud-images:stack": "o/p/s",
      "cloud-images:key": "k",
    },
    identityTags: { "cloud-images:stack": "o/p/s", "cloud-images:key": "k" },
    zeroBlocks: "send",
    ...changes,
  };
}

function readBack(
  snapshotId: string,
  extent: "all" | { blocks: number } = "all",
) {
  return method.readBack(
    { ...disk, access: aws.access(), snapshotId, label: "an image", extent },
    tell,
  );
}

function sent(snapshotId: string): Iterable<number> {
  return aws.ebs.snapshots.get(snapshotId)?.blocks.keys() ?? [];
}

async function ourSnapshots() {
  const { Snapshots = [] } = await ec2Client(aws.access()).send(
    new DescribeSnapshotsCommand({ OwnerIds: ["self"] }),
  );
  return Snapshots;
}
