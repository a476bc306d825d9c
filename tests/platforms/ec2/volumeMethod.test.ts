import { mkdtemp, open, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AttachVolumeCommand,
  CreateSnapshotCommand,
  DescribeVolumesCommand,
} from "@aws-sdk/client-ec2";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  vi,
} from "vitest";
import {
  PublicationError,
  UserError,
  WrongCopyError,
} from "../../../infra/errors.ts";
import {
  blockBytes,
  type SnapshotRequest,
} from "../../../infra/platforms/ec2/snapshotRequest.ts";
import { volumeMethod } from "../../../infra/platforms/ec2/volumeMethod.ts";
import type { VolumeSettings } from "../../../infra/platforms/ec2/workplace.ts";
import {
  cutAfter,
  delay,
  firstCalls,
  refuse,
} from "../../servers/awsFaults.ts";
import {
  type ApiAnswer,
  type ApiCall,
  isCall,
} from "../../servers/awsProxy.ts";
import type { LocalServer } from "../../servers/localServer.ts";
import { startMoto } from "../../servers/moto.ts";
import { anyCredentials } from "../../servers/strictAws.ts";
import { addDevice } from "../../servers/strictVolumes.ts";
import {
  endOf,
  readBackOf,
  region,
  runStep,
  VolumeCloud,
} from "./volumeCloud.ts";

let motoDirectory: string;
let moto: LocalServer;
let cloud: VolumeCloud;

beforeAll(async () => {
  for (const [name, value] of Object.entries(anyCredentials)) {
    vi.stubEnv(name, value);
  }
  motoDirectory = await mkdtemp(join(tmpdir(), "moto-"));
  moto = await startMoto(motoDirectory);
});
afterAll(async () => {
  await moto[Symbol.asyncDispose]();
  await rm(motoDirectory, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

beforeEach(async () => {
  cloud = await VolumeCloud.begin(moto);
});
afterEach(async () => {
  const { misuses } = cloud.volumes;
  await cloud[Symbol.asyncDispose]();
  expect(misuses).toEqual([]);
});

const silent = () => {};

function make(settings: VolumeSettings, image: SnapshotRequest) {
  return volumeMethod(settings).make(image, silent);
}

/** The image has one snapshot, which holds it, and nothing else is left. */
async function expectOneSnapshot(image: SnapshotRequest): Promise<string> {
  const snapshots = await cloud.snapshots(image);
  expect(snapshots).toHaveLength(1);
  const snapshotId = snapshots[0]?.SnapshotId ?? "";
  expect(await cloud.holds(snapshotId, image)).toBe(true);
  expect(await cloud.ownVolumes()).toEqual([]);
  return snapshotId;
}

/** All that is called of EC2 while nothing has to be mended. */
const actions = [
  "ec2:DescribeInstances",
  "ec2:DescribeSnapshots",
  "ec2:DescribeVolumes",
  "ec2:CreateVolume",
  "ec2:AttachVolume",
  "ec2:CreateTags",
  "ec2:DetachVolume",
  "ec2:CreateSnapshot",
  "ec2:DeleteVolume",
];

function isNotTheTests(action: string): boolean {
  return action !== "ec2:RunInstances";
}

describe("a snapshot by way of a volume", () => {
  it.each(["nitro", "xen"] as const)(
    "is made and read back on an instance with %s, in EC2's own time",
    async (system) => {
      cloud.volumes.settings.settleMilliseconds = 40;
      cloud.volumes.settings.hiddenMilliseconds = 30;
      cloud.volumes.settings.deviceMilliseconds = 50;
      cloud.volumes.settings.readyMilliseconds = 60;
      const settings = await cloud.instance(`${region}a`, system);
      const image = await cloud.image();
      const made = await make(settings, image);
      expect(made).toEqual({
        snapshotId: await expectOneSnapshot(image),
        volumeSizeGiB: 1,
        sentBytes: expect.any(Number),
      });
      const [snapshot] = await cloud.snapshots(image);
      expect(snapshot).toMatchObject({
        Description: image.description,
        Tags: expect.arrayContaining(
          Object.entries(image.tags).map(([Key, Value]) => ({ Key, Value })),
        ),
      });
      const verification = await volumeMethod(settings).readBack(
        readBackOf(image, made.snapshotId),
        silent,
      );
      expect(verification).toEqual({
        sha256: image.rawSha256,
        readBlocks: 9,
        allBlocks: 9,
        verifiedAt: expect.any(String),
      });
      await expectOneSnapshot(image);
      expect(await readdir(settings.roots.dev)).toEqual([]);
      // A policy allows these, and no more.
      expect(cloud.proxy.actions().filter(isNotTheTests)).toEqual(
        actions.toSorted(),
      );
    },
  );

  it("is found when it is asked for again, and nothing is made", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const first = await make(settings, image);
    cloud.proxy.forget();
    expect(await make(settings, image)).toEqual({ ...first, sentBytes: 0 });
    expect(cloud.proxy.actions()).toEqual([
      "ec2:DescribeSnapshots",
      "ec2:DescribeVolumes",
    ]);
  });

  it("takes no more than the data's bytes over the network", async () => {
    const settings = await cloud.instance();
    const { sentBytes } = await make(
      settings,
      await cloud.image({ zeroBlocks: "skip" }),
    );
    expect(sentBytes).toBe(4 * blockBytes);
  });

  it("is encrypted with the key that is asked for", async () => {
    const settings = await cloud.instance();
    const kmsKey = "arn:aws:kms:eu-central-1:123456789012:key/a-b";
    const image = await cloud.image({ encryption: { kmsKey } });
    const asked: (string | null)[] = [];
    cloud.proxy.add({
      matches: isCall("ec2", "CreateVolume"),
      act(call, forward) {
        const { parameters } = call;
        asked.push(parameters.get("Encrypted"), parameters.get("KmsKeyId"));
        return forward(call);
      },
    });
    await make(settings, image);
    expect(asked).toEqual(["true", kmsKey]);
    const [snapshot] = await cloud.snapshots(image);
    expect(snapshot?.Encrypted).toBe(true);
  });

  it("names the key where EC2 silently drops a volume", async () => {
    const settings = await cloud.instance();
    const kmsKey = "arn:aws:kms:eu-central-1:123456789012:key/a-b";
    cloud.volumes.settings.refusedKey = kmsKey;
    const hasty = {
      ...settings,
      patience: {
        ...settings.patience,
        state: {
          seconds: 0.2,
          firstPauseSeconds: 0.02,
          longestPauseSeconds: 0.2,
        },
      },
    };
    const image = await cloud.image({ encryption: { kmsKey } });
    await expect(make(hasty, image)).rejects.toThrow(/is gone.*key of KMS/);
    cloud.volumes.settings.refusedKey = undefined;
    await make(settings, image);
    await expectOneSnapshot(image);
  });

  it("leaves alone what is not ours", async () => {
    const settings = await cloud.instance();
    const { ec2 } = cloud;
    const foreign = await cloud.foreignVolume();
    await ec2.send(
      new AttachVolumeCommand({
        VolumeId: foreign,
        InstanceId: settings.instanceId,
        Device: "/dev/sdf",
      }),
    );
    await ec2.send(new CreateSnapshotCommand({ VolumeId: foreign }));
    const [device = ""] = await readdir(settings.roots.dev);
    await make(settings, await cloud.image());
    const { Volumes = [] } = await ec2.send(
      new DescribeVolumesCommand({ VolumeIds: [foreign] }),
    );
    expect(Volumes[0]?.Attachments).toMatchObject([
      { Device: "/dev/sdf", State: "attached" },
    ]);
    expect((await stat(join(settings.roots.dev, device))).blocks).toBe(0);
  });

  it("replaces one that was made of something else", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const { snapshotId } = await make(settings, image);
    const content = Buffer.from("another disk");
    const other = await cloud.image({}, content);
    const changed = { ...other, ...pick(image), tags: image.tags };
    await make(settings, changed);
    expect(await expectOneSnapshot(changed)).not.toBe(snapshotId);
  });
});

/** What makes a request the same as another one. */
function pick({ label, token, identityTags }: SnapshotRequest) {
  return { label, token, identityTags };
}

describe("a read-back", () => {
  it("of a sample reads so many blocks of data", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const { snapshotId } = await make(settings, image);
    const request = readBackOf(image, snapshotId);
    const verification = await volumeMethod(settings).readBack(
      { ...request, extent: { blocks: 3 } },
      silent,
    );
    expect(verification).toMatchObject({ readBlocks: 3, allBlocks: 9 });
    expect(verification.sha256).toBeUndefined();
  });

  it("names the block that differs, and leaves nothing", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const { snapshotId } = await make(settings, image);
    const path = cloud.volumes.snapshotPath(snapshotId);
    await using file = await open(path, "r+");
    await file.write(Buffer.from([1]), 0, 1, 5 * blockBytes + 7);
    const reading = volumeMethod(settings).readBack(
      readBackOf(image, snapshotId),
      silent,
    );
    await expect(reading).rejects.toThrow(WrongCopyError);
    await expect(reading).rejects.toThrow(/^Block 5 of the snapshot snap-/);
    expect(await cloud.ownVolumes()).toEqual([]);
  });

  it("of a snapshot that is gone says so", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const reading = volumeMethod(settings).readBack(
      readBackOf(image, "snap-00000000000000000"),
      silent,
    );
    await expect(reading).rejects.toThrow(/snap-0+ in eu-central-1 is gone/);
  });
});

/** Kills a step of the method at a call: before it gets anywhere, or when it has taken effect. */
async function killAt(
  moment: "before" | "after",
  action: string,
  begin: () => ReturnType<typeof runStep>,
): Promise<void> {
  let child: ReturnType<typeof runStep> | undefined;
  const remove = cloud.proxy.add({
    matches: isCall("ec2", action),
    async act(call: ApiCall, forward): Promise<ApiAnswer> {
      if (moment === "after") await forward(call);
      child?.kill("SIGKILL");
      return "cut";
    },
  });
  child = begin();
  expect(await endOf(child)).toMatchObject({ ended: "SIGKILL" });
  remove();
}

describe("after a kill", () => {
  it.each([
    ["after", "CreateVolume"],
    ["after", "AttachVolume"],
    ["before", "CreateTags"],
    ["after", "CreateTags"],
    ["after", "DetachVolume"],
    ["after", "CreateSnapshot"],
    ["before", "DeleteVolume"],
    ["after", "DeleteVolume"],
  ] as const)(
    "%s %s the next run completes, and nothing is doubled or left",
    async (moment, action) => {
      const settings = await cloud.instance();
      const image = await cloud.image();
      await killAt(moment, action, () => runStep("make", image, settings));
      cloud.proxy.forget();
      await make(settings, image);
      await expectOneSnapshot(image);
      const isBegun = action === "CreateSnapshot" || action === "DeleteVolume";
      expect(cloud.proxy.count("ec2", "CreateVolume")).toBe(0);
      expect(cloud.proxy.count("ec2", "CreateSnapshot")).toBe(isBegun ? 0 : 1);
    },
  );

  it("in the middle of writing the next run writes all of it", async () => {
    const settings = await cloud.instance();
    const content = Buffer.alloc(128 * 1024 ** 2, "data");
    const image = await cloud.image({}, content);
    const child = runStep("make", image, settings);
    const end = endOf(child);
    await vi.waitUntil(
      async () => {
        const [id] = cloud.volumes.volumes;
        if (id === undefined) return false;
        const { blocks } = await stat(cloud.volumes.volumePath(id));
        return blocks * 512 > 8 * 1024 ** 2;
      },
      { timeout: 30_000, interval: 1 },
    );
    child.kill("SIGKILL");
    expect(await end).toMatchObject({ ended: "SIGKILL" });
    expect(cloud.proxy.count("ec2", "CreateTags")).toBe(0);
    expect((await make(settings, image)).sentBytes).toBe(content.length);
    await expectOneSnapshot(image);
  });

  it("nothing is taken for zeros that is not", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    await killAt("after", "AttachVolume", () =>
      runStep("make", image, settings),
    );
    const [id = ""] = cloud.volumes.volumes;
    await using file = await open(cloud.volumes.volumePath(id), "r+");
    for (const place of [2 * blockBytes + 9, 8 * blockBytes + 8192, 1e9]) {
      await file.write(Buffer.from("something"), 0, 9, place);
    }
    await make(settings, image);
    const snapshotId = await expectOneSnapshot(image);
    expect(await cloud.holds(snapshotId, image, 1024 ** 3)).toBe(true);
  });

  it.each(["CreateVolume", "AttachVolume", "DetachVolume"])(
    "after %s of a read-back the next one begins anew",
    async (action) => {
      const settings = await cloud.instance();
      const image = await cloud.image();
      const { snapshotId } = await make(settings, image);
      const request = readBackOf(image, snapshotId);
      await killAt("after", action, () =>
        runStep("readBack", request, settings),
      );
      expect(await cloud.ownVolumes()).toHaveLength(1);
      await volumeMethod(settings).readBack(request, silent);
      await expectOneSnapshot(image);
    },
  );

  it("what was left in another zone is not used for writing", async () => {
    const first = await cloud.instance(`${region}a`);
    const second = await cloud.instance(`${region}b`);
    const image = await cloud.image();
    await killAt("after", "CreateVolume", () => runStep("make", image, first));
    await make(second, image);
    await expectOneSnapshot(image);
    expect(cloud.proxy.count("ec2", "CreateVolume")).toBeGreaterThan(1);
  });

  it("what was written in another zone is not written again", async () => {
    const first = await cloud.instance(`${region}a`);
    const second = await cloud.instance(`${region}b`);
    const image = await cloud.image();
    await killAt("before", "CreateSnapshot", () =>
      runStep("make", image, first),
    );
    cloud.proxy.forget();
    expect((await make(second, image)).sentBytes).toBe(0);
    await expectOneSnapshot(image);
    expect(cloud.proxy.count("ec2", "CreateVolume")).toBe(0);
  });

  it("the volumes of an image that is withdrawn can be removed", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const other = await cloud.image();
    for (const each of [image, other]) {
      await killAt("after", "AttachVolume", () =>
        runStep("make", each, settings),
      );
    }
    const { identityTags } = image;
    await volumeMethod(settings).removeRemains?.(cloud.access, identityTags);
    const left = await cloud.ownVolumes();
    expect(left).toHaveLength(1);
    await make(settings, other);
    await expectOneSnapshot(other);
  });
});

describe("what goes wrong", () => {
  it.each([
    "CreateVolume",
    "AttachVolume",
    "CreateTags",
    "DetachVolume",
    "CreateSnapshot",
    "DeleteVolume",
  ])("is not the lost answer of %s", async (action) => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    cloud.proxy.add(firstCalls(1, cutAfter(isCall("ec2", action))));
    await make(settings, image);
    await expectOneSnapshot(image);
  });

  it("with the device's writes leaves nothing, and says so", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    // The system refuses the process to write behind the third block.
    const limit = ["prlimit", `--fsize=${3 * blockBytes}`, "--"];
    const { ended, output } = await endOf(
      runStep("make", image, settings, limit),
    );
    expect(ended).toBe(1);
    expect(output).toMatch(/not possible to write to the device .*EFBIG/);
    expect(await cloud.ownVolumes()).toEqual([]);
    expect(await cloud.snapshots(image)).toEqual([]);
    await make(settings, image);
    await expectOneSnapshot(image);
  });

  it("with a device that does not appear leaves nothing", async () => {
    cloud.volumes.settings.deviceMilliseconds = Number.POSITIVE_INFINITY;
    const settings = await cloud.instance();
    const image = await cloud.image();
    await expect(make(settings, image)).rejects.toThrow(
      /^The volume vol-\w+ is attached to i-\w+ as \/dev\/sdf, and its device did not appear in 1 s/,
    );
    expect(await cloud.ownVolumes()).toEqual([]);
  });

  it("with another device in its place is seen before it is written to", async () => {
    cloud.volumes.settings.deviceMilliseconds = Number.POSITIVE_INFINITY;
    const settings = await cloud.instance();
    const image = await cloud.image();
    const device = join(settings.roots.dev, "nvme1n1");
    cloud.proxy.add({
      matches: isCall("ec2", "AttachVolume"),
      async act(call, forward) {
        const id = call.parameters.get("VolumeId") ?? "";
        await (await open(device, "w")).close();
        await truncate(device, 2 * 1024 ** 3);
        await addDevice(settings.roots, "nvme1n1", {
          serial: id.replace("-", ""),
          sizeBytes: 2 * 1024 ** 3,
        });
        return forward(call);
      },
    });
    await expect(make(settings, image)).rejects.toThrow(
      /nvme1n1 should be the volume vol-\w+ of 1 GiB, and has 2147483648 bytes/,
    );
    expect(cloud.proxy.count("ec2", "CreateSnapshot")).toBe(0);
    expect(await cloud.ownVolumes()).toEqual([]);
  });

  it("with a quota is said so, and nothing is left", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    cloud.proxy.add(
      refuse(isCall("ec2", "CreateVolume"), "VolumeLimitExceeded", "Too many."),
    );
    const making = make(settings, image);
    await expect(making).rejects.toThrow(PublicationError);
    await expect(making).rejects.toThrow(/quota.*Service Quotas/);
  });

  it("with a snapshot that comes to nothing is mended from the volume", async () => {
    cloud.volumes.settings.snapshotsFail = true;
    const settings = await cloud.instance();
    const image = await cloud.image();
    await expect(make(settings, image)).rejects.toThrow(/came to nothing/);
    expect(await cloud.snapshots(image)).toEqual([]);
    cloud.volumes.settings.snapshotsFail = false;
    expect((await make(settings, image)).sentBytes).toBe(0);
    await expectOneSnapshot(image);
  });

  it("with a snapshot that takes long is waited for by the next run", async () => {
    cloud.volumes.settings.readyMilliseconds = Number.POSITIVE_INFINITY;
    const settings = await cloud.instance();
    const image = await cloud.image();
    const hasty = {
      ...settings,
      patience: {
        ...settings.patience,
        snapshot: {
          seconds: 0.1,
          firstPauseSeconds: 0.01,
          longestPauseSeconds: 0.1,
        },
      },
    };
    await expect(make(hasty, image)).rejects.toThrow(/still pending after/);
    cloud.volumes.settings.readyMilliseconds = 0;
    await make(settings, image);
    await expectOneSnapshot(image);
  });
});

describe("where it is", () => {
  it("is no instance, nothing is made", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const nowhere = { ...settings, metadata: "http://127.0.0.1:9" };
    cloud.proxy.forget();
    const making = make(nowhere, image);
    await expect(making).rejects.toThrow(UserError);
    await expect(making).rejects.toThrow(/no instance of EC2.*ebs-direct/);
    expect(cloud.proxy.calls).toEqual([]);
  });

  it("is another region, nothing is made", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    const access = { ...image.access, region: "us-east-1" };
    await expect(make(settings, { ...image, access })).rejects.toThrow(
      /is in eu-central-1, and no volume of us-east-1/,
    );
  });

  it("is another account than the credentials', nothing is left", async () => {
    const settings = await cloud.instance();
    const image = await cloud.image();
    cloud.proxy.add(
      refuse(
        isCall("ec2", "DescribeInstances"),
        "InvalidInstanceID.NotFound",
        "No such instance.",
      ),
    );
    await expect(make(settings, image)).rejects.toThrow(/within one account/);
    expect(await cloud.ownVolumes()).toEqual([]);
  });
});

describe("at once", () => {
  it("several images get devices of their own", async () => {
    const settings = await cloud.instance();
    const images = [
      await cloud.image(),
      await cloud.image(),
      await cloud.image(),
    ];
    // All of them see the same name free.
    cloud.proxy.add(delay(isCall("ec2", "AttachVolume"), 100));
    await Promise.all(images.map((image) => make(settings, image)));
    for (const image of images) await expectOneSnapshot(image);
  });

  it("two instances do not work on one image", async () => {
    const first = await cloud.instance();
    const second = await cloud.instance();
    const image = await cloud.image();
    cloud.proxy.add(firstCalls(1, delay(isCall("ec2", "CreateTags"), 500)));
    const making = make(first, image);
    await vi.waitUntil(() => cloud.proxy.count("ec2", "CreateTags") > 0, {
      timeout: 10_000,
      interval: 5,
    });
    const [before] = await cloud.ownVolumes();
    await expect(make(second, image)).rejects.toThrow(
      new RegExp(
        `is attached to the instance ${first.instanceId}, and this is ${second.instanceId}`,
      ),
    );
    expect(await cloud.ownVolumes()).toMatchObject([
      { VolumeId: before?.VolumeId, Attachments: before?.Attachments },
    ]);
    await making;
    await expectOneSnapshot(image);
  });
});
