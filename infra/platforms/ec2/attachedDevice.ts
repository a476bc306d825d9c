/**
 * Which block device of this machine an attached volume is. The name that a volume is attached by is a wish: on
 * instances of the Nitro system volumes are NVMe disks, numbered as they come, and known by their serial number, which
 * is the volume's id without its dash; on those before, under Xen, the last letter of the name stays.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PublicationError } from "../../errors.ts";
import { errorCode } from "../../store/fileFailure.ts";

/** Where a system shows its devices. */
export interface DeviceRoots {
  /** sysfs. */
  readonly sysfs: string;
  /** Device files. */
  readonly dev: string;
}

/** This machine's. */
export const machineRoots: DeviceRoots = { sysfs: "/sys", dev: "/dev" };

/** An attached volume. */
export interface AttachedVolume {
  readonly volumeId: string;
  /** The name that it is attached by: `/dev/sdf`. */
  readonly deviceName: string;
  readonly sizeGiB: number;
}

/** Letters that Amazon recommends for volumes besides the root's. */
const letters = [..."fghijklmnop"];

/** sysfs counts in sectors of this size, whatever a device's own. */
const sectorBytes = 512;
const gibBytes = 1024 ** 3;

/**
 * The names, `/dev/sdf` to `/dev/sdp`, by which a volume can be attached.
 *
 * @param taken names of the instance's block device mappings
 */
export async function freeDeviceNames(
  roots: DeviceRoots,
  taken: readonly string[],
): Promise<string[]> {
  const used = new Set(
    [...taken, ...(await blockDevices(roots))].map(letterOf),
  );
  return letters
    .filter((letter) => !used.has(letter))
    .map((letter) => `/dev/sd${letter}`);
}

/**
 * The path of the device that a volume is, or `undefined` as long as the system does not show it.
 * @throws {PublicationError} when the device that has its name is of another size, and so is another one.
 */
export async function findDevice(
  roots: DeviceRoots,
  { volumeId, deviceName, sizeGiB }: AttachedVolume,
): Promise<string | undefined> {
  const name =
    (await nvmeDevice(roots, volumeId)) ?? (await xenDevice(roots, deviceName));
  if (name === undefined) return undefined;
  const sectors = Number(await attribute(roots, name, "size"));
  // A device that is on its way shows no size yet.
  if (sectors === 0) return undefined;
  if (sectors * sectorBytes !== sizeGiB * gibBytes) {
    throw new PublicationError(
      `The device ${join(roots.dev, name)} should be the volume ${volumeId} of ${sizeGiB} GiB, and has ${sectors * sectorBytes} bytes: it is something else, and was left alone. Run again on an instance that has no other device of this name.`,
    );
  }
  return join(roots.dev, name);
}

/** Namespace 1 of the NVMe disk whose serial number is the volume's. */
async function nvmeDevice(
  roots: DeviceRoots,
  volumeId: string,
): Promise<string | undefined> {
  const serial = volumeId.replace("-", "");
  for (const name of await blockDevices(roots)) {
    if (!/^nvme\d+n1$/.test(name)) continue;
    if ((await attribute(roots, name, "device/serial")) === serial) return name;
  }
  return undefined;
}

async function xenDevice(
  roots: DeviceRoots,
  deviceName: string,
): Promise<string | undefined> {
  const wanted = `xvd${letterOf(deviceName)}`;
  return (await blockDevices(roots)).find((name) => name === wanted);
}

/** The letter of `/dev/sdf`, `xvdf` and `/dev/xvdf1`; nothing for other names. */
function letterOf(name: string): string {
  return /^(?:\/dev\/)?(?:sd|xvd)([a-z]+)\d*$/.exec(name)?.[1] ?? "";
}

async function blockDevices({ sysfs }: DeviceRoots): Promise<string[]> {
  return readdir(join(sysfs, "block"));
}

/** What sysfs says of a block device; nothing where it says nothing, or the device has just gone. */
async function attribute(
  { sysfs }: DeviceRoots,
  device: string,
  name: string,
): Promise<string> {
  try {
    return (await readFile(join(sysfs, "block", device, name), "ascii")).trim();
  } catch (error) {
    if (["ENOENT", "ENODEV", "EIO"].includes(errorCode(error) ?? "")) return "";
    throw error;
  }
}
