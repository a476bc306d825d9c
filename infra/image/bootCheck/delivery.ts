/** How the guest script gets started inside an image that knows nothing of it. Pure. */

import type { Definition } from "../../definitions/definition.ts";
import { machineTypes } from "./machineTypes.ts";
import type { Nonce } from "./nonce.ts";
import { scriptDevice } from "./qemuArguments.ts";

/** What a machine needs besides its disk. */
export interface Delivery {
  /** Texts for SMBIOS "OEM strings", where systemd looks for credentials. */
  readonly smbiosStrings: readonly string[];
  /** Files of a NoCloud seed disc, by name. */
  readonly seed?: Readonly<Record<string, string>>;
  /** What root has to type on the console. */
  readonly consoleCommand?: string;
}

/** FAI's class for images with cloud-init. */
const cloudInitClass = "CLOUD_INIT";

/** The unit's name inside the guest. */
const unitName = "boot-check.service";

/** Disks are read in sectors. */
const sectorBytes = 512;

/** What starts the guest script in the way the definition asks for. */
export function deliveryFor(
  definition: Pick<Definition, "architecture" | "classes" | "bootCheck">,
  nonce: Nonce,
): Delivery {
  const { report } = definition.bootCheck;
  const { reportDevice } = machineTypes[definition.architecture];
  const command = `sh ${scriptDevice} ${nonce} ${reportDevice}`;
  const hasCloudInit =
    report === "cloud-init" || definition.classes.includes(cloudInitClass);
  return {
    smbiosStrings: report === "credentials" ? credentials(command) : [],
    ...(hasCloudInit && {
      seed: seedFiles(nonce, report === "cloud-init" ? command : undefined),
    }),
    ...(report === "console" && { consoleCommand: command }),
  };
}

/** The guest script as a disk's contents: line feeds, which a shell skips, fill the last sector. */
export function scriptDisk(script: string): Buffer {
  const bytes = Buffer.from(script);
  const size = Math.ceil(bytes.length / sectorBytes) * sectorBytes;
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.length, "\n")]);
}

/** systemd.system-credentials(7): a unit, and a drop-in that starts it with the system. */
function credentials(command: string): readonly string[] {
  return [
    credential(`systemd.extra-unit.${unitName}`, unit(command)),
    credential(
      "systemd.unit-dropin.multi-user.target",
      `[Unit]\nWants=${unitName}\n`,
    ),
  ];
}

function credential(name: string, text: string): string {
  const encoded = Buffer.from(text).toString("base64");
  return `io.systemd.credential.binary:${name}=${encoded}`;
}

/**
 * Not a oneshot: the script waits until systemd has finished starting, which would then wait for it.
 */
function unit(command: string): string {
  const device = escapePath(scriptDevice);
  return [
    "[Unit]",
    "Description=Boot check",
    `Wants=${device}`,
    `After=${device}`,
    "[Service]",
    "Type=exec",
    `ExecStart=/bin/${command}`,
    "",
  ].join("\n");
}

/** The device unit of a path, as by `systemd-escape --path --suffix=device`. */
function escapePath(path: string): string {
  const name = path.slice(1).replaceAll("-", "\\x2d").replaceAll("/", "-");
  return `${name}.device`;
}

/** cloud-init's own examples of a NoCloud seed; the instance is a new one in every run. */
function seedFiles(
  nonce: Nonce,
  command: string | undefined,
): Readonly<Record<string, string>> {
  const start =
    // cloud-init's last stage is part of starting, which the script waits for.
    command === undefined
      ? ""
      : `runcmd:\n  - systemd-run --no-block --unit=${unitName} ${command}\n`;
  return {
    "meta-data": `instance-id: boot-check-${nonce}\n`,
    "user-data": `#cloud-config\n${start}`,
  };
}
