/**
 * Volumes as strict as they are at Amazon, where moto is not, and with something in them: each is a sparse file, which
 * an instance that it is attached to sees as a device. An instance is a directory with a sysfs and a /dev of its own.
 */

import { execFile } from "node:child_process";
import {
  link,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DeviceRoots } from "../../infra/platforms/ec2/attachedDevice.ts";
import {
  type ApiAnswer,
  type ApiCall,
  apiError,
  type Forward,
  type ProxyRule,
} from "./awsProxy.ts";

const gibibyte = 1024 ** 3;
const sectorBytes = 512;

/** How a test wants it. */
export interface StrictVolumesSettings {
  /** How long a volume stays `creating`, `attaching` and `detaching`. */
  settleMilliseconds: number;
  /** How long a new volume is not to be seen. */
  hiddenMilliseconds: number;
  /** From attaching until the system shows the device; infinite for never. */
  deviceMilliseconds: number;
  /** How long a snapshot stays `pending`; infinite for ever. */
  readyMilliseconds: number;
  /** Whether snapshots come to nothing. */
  snapshotsFail: boolean;
  /** A key of KMS that may not be used. */
  refusedKey: string | undefined;
}

/** An instance as far as its volumes go. */
interface Instance {
  readonly system: "nitro" | "xen";
  readonly availabilityZone: string;
  readonly roots: DeviceRoots;
  /** Devices so far: numbers are not used again. */
  count: number;
}

interface Volume {
  readonly id: string;
  readonly availabilityZone: string;
  readonly sizeGiB: number;
  readonly createdAt: number;
  attachment?: {
    readonly instanceId: string;
    readonly deviceName: string;
    /** In the system of the instance. */
    readonly device: string;
    readonly since: number;
    readonly timer?: NodeJS.Timeout | undefined;
    /** Since when it is detaching, and the call that waits to be handed on. */
    detaching?: { readonly since: number; readonly call: ApiCall };
  };
}

interface Snapshot {
  readonly sizeGiB: number;
  readonly begunAt: number;
  readonly failed: boolean;
}

/** The rule, and what it knows. */
export class StrictVolumes implements ProxyRule {
  readonly settings: StrictVolumesSettings;
  /** What no program should do, although EC2 does not say so at once. */
  readonly misuses: string[] = [];
  readonly #directory: string;
  readonly #instances = new Map<string, Instance>();
  readonly #volumes = new Map<string, Volume>();
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #requests = new Map<
    string,
    { readonly parameters: string; readonly id: string; readonly text: string }
  >();

  /** @param directory of the test's, which it removes */
  constructor(
    directory: string,
    settings: Partial<StrictVolumesSettings> = {},
  ) {
    this.#directory = directory;
    this.settings = {
      settleMilliseconds: 0,
      hiddenMilliseconds: 0,
      deviceMilliseconds: 0,
      readyMilliseconds: 0,
      snapshotsFail: false,
      refusedKey: undefined,
      ...settings,
    };
  }

  /** Gives an instance that moto has a system of its own, with the device of its root volume in it. */
  async addInstance(
    id: string,
    availabilityZone: string,
    system: Instance["system"] = "nitro",
  ): Promise<DeviceRoots> {
    const sysfs = join(this.#directory, id, "sys");
    const dev = join(this.#directory, id, "dev");
    await mkdir(join(sysfs, "block"), { recursive: true });
    await mkdir(dev, { recursive: true });
    const roots = { sysfs, dev };
    this.#instances.set(id, { system, availabilityZone, roots, count: 1 });
    await addDevice(roots, system === "nitro" ? "nvme0n1" : "xvda", {
      serial: "vol00000000000000000",
      sizeBytes: 8 * gibibyte,
    });
    return roots;
  }

  /** The file that holds what is in a volume. */
  volumePath(id: string): string {
    return join(this.#directory, id);
  }

  /** The file that holds what is in a snapshot. */
  snapshotPath(id: string): string {
    return join(this.#directory, id);
  }

  /** Ids of all volumes that were made by calls. */
  get volumes(): string[] {
    return [...this.#volumes.keys()];
  }

  matches({ service, action }: ApiCall): boolean {
    return service === "ec2" && action in actions;
  }

  async act(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    await this.#finishDetaching(forward);
    const act = actions[call.action as keyof typeof actions];
    return act(this, call, forward);
  }

  async createVolume(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { parameters, region } = call;
    const token = parameters.get("ClientToken") ?? "";
    if (!/^[\x21-\x7e]{1,64}$/.test(token)) {
      return refused(call, "InvalidParameterValue", "ClientToken");
    }
    const sorted = new URLSearchParams(parameters);
    sorted.sort();
    const before = this.#requests.get(`${region} ${token}`);
    if (before !== undefined) {
      const volume = this.#volumes.get(before.id);
      if (volume === undefined || before.parameters !== `${sorted}`) {
        return refused(call, "IdempotentParameterMismatch", "Other parameters");
      }
      return xmlAnswer(before.text, this.#stateOf(volume));
    }
    const snapshotId = parameters.get("SnapshotId");
    const snapshot = this.#snapshots.get(snapshotId ?? "");
    if (snapshotId !== null && snapshot === undefined) {
      return refused(call, "InvalidSnapshot.NotFound", snapshotId);
    }
    if (snapshot !== undefined && snapshotState(this, snapshot) !== "completed")
      return refused(call, "IncorrectState", "The snapshot is not completed.");
    const sizeGiB = Number(parameters.get("Size") ?? snapshot?.sizeGiB);
    if (!(Number.isInteger(sizeGiB) && sizeGiB >= (snapshot?.sizeGiB ?? 1))) {
      return refused(call, "InvalidParameterValue", "Size");
    }
    const answer = await forward(call);
    const id = made(answer, "volumeId");
    if (id === undefined || answer === "cut") return answer;
    const text = answer.body.toString();
    const availabilityZone = parameters.get("AvailabilityZone") ?? "";
    this.#requests.set(`${region} ${token}`, {
      parameters: `${sorted}`,
      id,
      text,
    });
    if (
      this.settings.refusedKey !== undefined &&
      parameters.get("KmsKeyId") === this.settings.refusedKey
    ) {
      await forward(
        withParameters(call, { Action: "DeleteVolume", VolumeId: id }),
      );
      return xmlAnswer(text, "creating");
    }
    const path = this.volumePath(id);
    if (snapshotId === null) await writeFile(path, "");
    else await copySparsely(this.snapshotPath(snapshotId), path);
    await using file = await open(path, "r+");
    await file.truncate(sizeGiB * gibibyte);
    const createdAt = performance.now();
    this.#volumes.set(id, { id, availabilityZone, sizeGiB, createdAt });
    return xmlAnswer(text, "creating");
  }

  async attachVolume(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const { parameters } = call;
    const id = parameters.get("VolumeId") ?? "";
    const instanceId = parameters.get("InstanceId") ?? "";
    const deviceName = parameters.get("Device") ?? "";
    const volume = this.#volumes.get(id);
    const instance = this.#instances.get(instanceId);
    if (volume === undefined) return noVolume(call, id);
    if (instance === undefined) {
      return refused(call, "InvalidInstanceID.NotFound", instanceId);
    }
    if (volume.attachment !== undefined) {
      const message = `${id} is already attached to an instance`;
      return refused(call, "VolumeInUse", message);
    }
    if (this.#stateOf(volume) !== "available") {
      return refused(call, "IncorrectState", `${id} is not 'available'.`);
    }
    if (volume.availabilityZone !== instance.availabilityZone) {
      return refused(call, "InvalidVolume.ZoneMismatch", "Different zones");
    }
    const [, letter] = /^\/dev\/sd([f-p])$/.exec(deviceName) ?? [];
    if (letter === undefined) {
      return refused(call, "InvalidParameterValue", `Invalid ${deviceName}`);
    }
    const isTaken = [...this.#volumes.values()].some(
      ({ attachment }) =>
        attachment?.instanceId === instanceId &&
        attachment.deviceName === deviceName,
    );
    if (isTaken) {
      const message = `Invalid value '${deviceName}' for unixDevice. Attachment point ${deviceName} is already in use`;
      return refused(call, "InvalidParameterValue", message);
    }
    const { roots, system } = instance;
    const device =
      system === "nitro" ? `nvme${instance.count++}n1` : `xvd${letter}`;
    const { deviceMilliseconds } = this.settings;
    const since = performance.now();
    const place = { instanceId, deviceName, device, since };
    // Before moto answers: a second call meets it.
    volume.attachment = place;
    const answer = await forward(call);
    const appear = async () => {
      await link(this.volumePath(id), join(roots.dev, device));
      await addDevice(roots, device, {
        ...(system === "nitro" ? { serial: id.replace("-", "") } : {}),
        sizeBytes: volume.sizeGiB * gibibyte,
      });
    };
    if (deviceMilliseconds === 0) await appear();
    else if (Number.isFinite(deviceMilliseconds)) {
      const timer = setTimeout(() => void appear(), deviceMilliseconds).unref();
      volume.attachment = { ...place, timer };
    }
    return answer;
  }

  async detachVolume(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const id = call.parameters.get("VolumeId") ?? "";
    const volume = this.#volumes.get(id);
    if (volume === undefined) return noVolume(call, id);
    const { attachment } = volume;
    if (attachment === undefined) {
      const message = `Volume '${id}' is in the 'available' state.`;
      return refused(call, "IncorrectState", message);
    }
    const { instanceId, device, timer } = attachment;
    const asked = call.parameters.get("InstanceId") ?? instanceId;
    if (asked !== instanceId) {
      return refused(call, "InvalidAttachment.NotFound", `${id}, ${asked}`);
    }
    if (attachment.detaching !== undefined) {
      return refused(call, "IncorrectState", `${id} is detaching.`);
    }
    const roots = this.#instances.get(instanceId)?.roots as DeviceRoots;
    if (await isOpen(join(roots.dev, device))) {
      this.misuses.push(`${id} was detached while its device was open`);
    }
    clearTimeout(timer);
    await rm(join(roots.sysfs, "block", device), {
      recursive: true,
      force: true,
    });
    await rm(join(roots.dev, device), { force: true });
    // moto needs the instance.
    const complete = withParameters(call, { InstanceId: instanceId });
    attachment.detaching = { since: performance.now(), call: complete };
    await this.#finishDetaching(forward);
    return {
      status: 200,
      headers: { "content-type": "text/xml" },
      body: Buffer.from(
        `<DetachVolumeResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><volumeId>${id}</volumeId><instanceId>${instanceId}</instanceId><status>detaching</status></DetachVolumeResponse>`,
      ),
    };
  }

  /** moto detaches at once, and so is told when it is time. */
  async #finishDetaching(forward: Forward): Promise<void> {
    for (const volume of this.#volumes.values()) {
      const detaching = volume.attachment?.detaching;
      if (detaching === undefined || this.#isWithin(detaching.since)) continue;
      delete volume.attachment;
      await forward(detaching.call);
    }
  }

  async describeVolumes(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const asked = call.parameters.get("VolumeId.1") ?? "";
    const hidden = this.#volumes.get(asked);
    const { hiddenMilliseconds } = this.settings;
    if (
      hidden !== undefined &&
      performance.now() - hidden.createdAt < hiddenMilliseconds
    ) {
      return noVolume(call, asked);
    }
    const answer = await forward(call);
    if (answer === "cut" || answer.status >= 300) return answer;
    let text = answer.body.toString();
    for (const volume of this.#volumes.values()) {
      const { id, attachment } = volume;
      text = text.replace(
        new RegExp(
          `(<volumeId>${id}</volumeId><size>\\d+</size>(?:<snapshotId>[^<]*</snapshotId>)?<availabilityZone>[^<]*</availabilityZone><status>)[^<]*`,
        ),
        `$1${this.#stateOf(volume)}`,
      );
      if (attachment === undefined) continue;
      const attaching = this.#isWithin(attachment.since)
        ? "attaching"
        : "attached";
      text = text.replace(
        new RegExp(
          `(<volumeId>${id}</volumeId><instanceId>[^<]*</instanceId><device>[^<]*</device><status>)[^<]*`,
        ),
        `$1${attachment.detaching === undefined ? attaching : "detaching"}`,
      );
    }
    return { ...answer, body: Buffer.from(text) };
  }

  async deleteVolume(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const id = call.parameters.get("VolumeId") ?? "";
    const volume = this.#volumes.get(id);
    if (volume === undefined) return noVolume(call, id);
    if (volume.attachment !== undefined) {
      return refused(call, "VolumeInUse", `${id} is attached.`);
    }
    const answer = await forward(call);
    this.#volumes.delete(id);
    await rm(this.volumePath(id));
    return answer;
  }

  async createSnapshot(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const volumeId = call.parameters.get("VolumeId") ?? "";
    const volume = this.#volumes.get(volumeId);
    if (volume === undefined) return noVolume(call, volumeId);
    if ((call.parameters.get("Description") ?? "").length > 255) {
      return refused(call, "InvalidParameterValue", "Description");
    }
    const answer = await forward(call);
    const id = made(answer, "snapshotId");
    if (id === undefined || answer === "cut") return answer;
    await copySparsely(this.volumePath(volumeId), this.snapshotPath(id));
    this.#snapshots.set(id, {
      sizeGiB: volume.sizeGiB,
      begunAt: performance.now(),
      failed: this.settings.snapshotsFail,
    });
    return xmlAnswer(answer.body.toString(), "pending");
  }

  async describeSnapshots(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const answer = await forward(call);
    if (answer === "cut" || answer.status >= 300) return answer;
    const text = answer.body
      .toString()
      .replaceAll(
        /(<snapshotId>([^<]+)<\/snapshotId>.*?<status>)[^<]*/gs,
        (all, before: string, id: string) => {
          const snapshot = this.#snapshots.get(id);
          return snapshot === undefined
            ? all
            : before + snapshotState(this, snapshot);
        },
      );
    return { ...answer, body: Buffer.from(text) };
  }

  async deleteSnapshot(call: ApiCall, forward: Forward): Promise<ApiAnswer> {
    const id = call.parameters.get("SnapshotId") ?? "";
    const answer = await forward(call);
    if (this.#snapshots.delete(id)) await rm(this.snapshotPath(id));
    return answer;
  }

  #stateOf({ createdAt, attachment }: Volume): string {
    if (this.#isWithin(createdAt)) return "creating";
    return attachment === undefined ? "available" : "in-use";
  }

  #isWithin(since: number): boolean {
    return performance.now() - since < this.settings.settleMilliseconds;
  }
}

const actions = {
  CreateVolume: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.createVolume(call, forward),
  AttachVolume: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.attachVolume(call, forward),
  DetachVolume: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.detachVolume(call, forward),
  DescribeVolumes: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.describeVolumes(call, forward),
  DeleteVolume: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.deleteVolume(call, forward),
  CreateSnapshot: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.createSnapshot(call, forward),
  DescribeSnapshots: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.describeSnapshots(call, forward),
  DeleteSnapshot: (rule: StrictVolumes, call: ApiCall, forward: Forward) =>
    rule.deleteSnapshot(call, forward),
};

function snapshotState(
  { settings }: StrictVolumes,
  { begunAt, failed }: Snapshot,
): string {
  if (performance.now() - begunAt < settings.readyMilliseconds) {
    return "pending";
  }
  return failed ? "error" : "completed";
}

/** What the system shows of a device, all at once. */
export async function addDevice(
  { sysfs, dev }: DeviceRoots,
  name: string,
  {
    serial,
    sizeBytes,
  }: { readonly serial?: string; readonly sizeBytes: number },
): Promise<void> {
  const draft = join(dev, "..", `${name}.draft`);
  await mkdir(join(draft, "device"), { recursive: true });
  await writeFile(join(draft, "size"), `${sizeBytes / sectorBytes}\n`);
  if (serial !== undefined) {
    await writeFile(join(draft, "device", "serial"), `${serial}\n`);
  }
  await rename(draft, join(sysfs, "block", name));
}

/** Whether a program that can be looked at has a file open. */
async function isOpen(path: string): Promise<boolean> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const descriptors = join("/proc", pid, "fd");
    for (const descriptor of await readdir(descriptors).catch(() => [])) {
      const target = await readlink(join(descriptors, descriptor)).catch(
        () => "",
      );
      if (target === path) return true;
    }
  }
  return false;
}

/** Holes are found by the file system, and not read. */
async function copySparsely(from: string, to: string): Promise<void> {
  await promisify(execFile)("cp", ["--sparse=always", "--", from, to]);
}

function refused(call: ApiCall, code: string, message: string): ApiAnswer {
  return apiError(call, 400, code, message);
}

function noVolume(call: ApiCall, id: string): ApiAnswer {
  return refused(
    call,
    "InvalidVolume.NotFound",
    `The volume '${id}' does not exist.`,
  );
}

function made(answer: ApiAnswer, member: string): string | undefined {
  if (answer === "cut" || answer.status >= 300) return undefined;
  const pattern = new RegExp(`<${member}>([^<]+)</${member}>`);
  return pattern.exec(answer.body.toString())?.[1];
}

function xmlAnswer(text: string, state: string): ApiAnswer {
  return {
    status: 200,
    headers: { "content-type": "text/xml" },
    body: Buffer.from(
      text.replace(/<status>[^<]*<\/status>/, `<status>${state}</status>`),
    ),
  };
}

function withParameters(
  call: ApiCall,
  changes: Readonly<Record<string, string>>,
): ApiCall {
  const parameters = new URLSearchParams(call.parameters);
  for (const [name, value] of Object.entries(changes)) {
    parameters.set(name, value);
  }
  return { ...call, parameters, body: Buffer.from(`${parameters}`) };
}
