/** Makes the files of one machine in its private directory. */

import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { type Delivery, scriptDisk } from "./delivery.ts";
import { firmwareFilesOf } from "./machineTypes.ts";
import type { MachineFiles } from "./qemuArguments.ts";
import type { BootCheckRequest } from "./request.ts";

/** The label by which cloud-init knows a NoCloud seed. */
const seedLabel = "CIDATA";

/** Enough for the seed's few hundred bytes, and a size that every FAT tool knows: a 1.44 MB floppy. */
const seedSize = { kibibytes: 1440, mtools: ["-f", "1440"] } as const;

/** The script that reports from inside. */
const guestScript = new URL("guestScript.sh", import.meta.url);

/** Makes the overlay and all that goes with it. The image is not opened for writing. */
export async function prepareFiles(
  request: BootCheckRequest,
  delivery: Delivery,
  directory: string,
  signal: AbortSignal,
): Promise<MachineFiles> {
  const variables = join(directory, "variables.fd");
  const firmware = firmwareFilesOf(
    request.definition.architecture,
    request.firmware,
  );
  if (firmware?.variables !== undefined) {
    await copyFile(firmware.variables, variables);
  }
  const script = join(directory, "script.raw");
  await writeFile(script, scriptDisk(await readFile(guestScript, "utf8")));
  const seed = delivery.seed;
  return {
    overlay: await makeOverlay(request, directory, signal),
    variables,
    script,
    ...(seed && { seed: await makeSeed(seed, directory, signal) }),
    smbiosStrings: await writeStrings(delivery.smbiosStrings, directory),
  };
}

async function makeOverlay(
  { rawPath, definition }: BootCheckRequest,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  const overlay = join(directory, "overlay.qcow2");
  const size = `${definition.bootCheck.diskSizeGiB}G`;
  await execa(
    "qemu-img",
    [
      ...["create", "-q", "-f", "qcow2"],
      ...["-F", "raw", "-b", resolve(rawPath)],
      ...[overlay, size],
    ],
    { cancelSignal: signal },
  );
  return overlay;
}

async function makeSeed(
  files: Readonly<Record<string, string>>,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  const seed = join(directory, "seed.raw");
  await writeFile(seed, Buffer.alloc(seedSize.kibibytes * 1024));
  await execa(
    "mformat",
    ["-i", seed, ...seedSize.mtools, "-v", seedLabel, "::"],
    { cancelSignal: signal },
  );
  for (const [name, text] of Object.entries(files)) {
    await execa("mcopy", ["-i", seed, "-", `::${name}`], {
      input: text,
      cancelSignal: signal,
    });
  }
  return seed;
}

async function writeStrings(
  strings: readonly string[],
  directory: string,
): Promise<readonly string[]> {
  const paths = strings.map((_, index) => join(directory, `smbios-${index}`));
  for (const [index, path] of paths.entries()) {
    await writeFile(path, strings[index] ?? "");
  }
  return paths;
}
