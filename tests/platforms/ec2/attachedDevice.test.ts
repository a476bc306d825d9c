import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type DeviceRoots,
  findDevice,
  freeDeviceNames,
} from "../../../infra/platforms/ec2/attachedDevice.ts";
import { addDevice } from "../../servers/strictVolumes.ts";

const gibibyte = 1024 ** 3;
const volume = {
  volumeId: "vol-0123456789abcdef0",
  deviceName: "/dev/sdg",
  sizeGiB: 2,
};
const serial = "vol0123456789abcdef0";

let directory: string;
let roots: DeviceRoots;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "devices-"));
  roots = { sysfs: join(directory, "sys"), dev: join(directory, "dev") };
  await mkdir(join(roots.sysfs, "block"), { recursive: true });
  await mkdir(roots.dev);
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("the device of a volume", () => {
  it("is the NVMe disk with its serial number, whatever its name", async () => {
    const other = { serial: "vol0fedcba9876543210", sizeBytes: 2 * gibibyte };
    await addDevice(roots, "nvme0n1", other);
    await addDevice(roots, "nvme1n1p1", { serial, sizeBytes: gibibyte });
    await addDevice(roots, "nvme7n1", {
      serial: `${serial}  `,
      sizeBytes: 2 * gibibyte,
    });
    expect(await findDevice(roots, volume)).toBe(join(roots.dev, "nvme7n1"));
  });

  it("is the one with its letter under Xen", async () => {
    await addDevice(roots, "xvdf", { sizeBytes: 2 * gibibyte });
    await addDevice(roots, "xvdg", { sizeBytes: 2 * gibibyte });
    expect(await findDevice(roots, volume)).toBe(join(roots.dev, "xvdg"));
  });

  it("is not there before the system shows it, and its size", async () => {
    expect(await findDevice(roots, volume)).toBeUndefined();
    await addDevice(roots, "nvme1n1", { serial, sizeBytes: 0 });
    expect(await findDevice(roots, volume)).toBeUndefined();
  });

  it("is never one of another size", async () => {
    await addDevice(roots, "xvdg", { sizeBytes: 3 * gibibyte });
    await expect(findDevice(roots, volume)).rejects.toThrow(
      /xvdg should be the volume vol-0123456789abcdef0 of 2 GiB, and has 3221225472 bytes/,
    );
  });
});

describe("free names", () => {
  it("are those that neither the instance's mappings nor its system have", async () => {
    await addDevice(roots, "xvdh", { sizeBytes: gibibyte });
    await addDevice(roots, "nvme0n1", { sizeBytes: gibibyte });
    const taken = ["/dev/sda1", "/dev/xvda", "/dev/sdf", "xvdg", "/dev/sdp"];
    expect(await freeDeviceNames(roots, taken)).toEqual(
      [..."ijklmno"].map((letter) => `/dev/sd${letter}`),
    );
  });

  it("end", async () => {
    const all = [..."fghijklmnop"].map((letter) => `/dev/sd${letter}`);
    expect(await freeDeviceNames(roots, all)).toEqual([]);
    expect(await freeDeviceNames(roots, [])).toEqual(all);
  });
});
