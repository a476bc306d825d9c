/** What an AMI is called and how it is described to EC2. Pure. */

import type { AmiArgs } from "@pulumi/aws/ec2/ami.js";
import type {
  Architecture,
  Definition,
  ImageType,
  ImageVersion,
} from "../../definitions/definition.ts";
import { UserError } from "../../errors.ts";

/** The disk that every image of ours starts from, by the name that EC2 gives to the first one. */
export const rootDeviceName = "/dev/xvda";

/** EC2's names for architectures, and how its machines of each start. */
const machines: Readonly<
  Partial<
    Record<
      Architecture,
      Required<Pick<AmiArgs, "architecture" | "bootMode">> & object
    >
  >
> = {
  // Our images for amd64 start by BIOS, too, where an instance type knows nothing else.
  amd64: { architecture: "x86_64", bootMode: "uefi-preferred" },
  arm64: { architecture: "arm64", bootMode: "uefi" },
};

/** Whether EC2 has machines of an architecture. */
export function hasMachines(architecture: Architecture): boolean {
  return machines[architecture] !== undefined;
}

/**
 * An AMI's name, which is unique in its region and account: channels that share one do not get in each other's way.
 * At most 128 characters (RegisterImage); a definition's name has no others than EC2 takes.
 *
 * @throws {UserError} when the definition's name is too long.
 */
export function amiNameOf(
  { name }: Definition,
  channel: ImageType,
  version: ImageVersion,
): string {
  const ami = [name, ...(channel === "release" ? [] : [channel]), version].join(
    "-",
  );
  if (ami.length <= 128) return ami;
  throw new UserError(
    `EC2 takes names of 128 characters at most, and ${ami} has ${ami.length}. Give ${name} a shorter name in image-definitions/.`,
  );
}

/** What EC2 is told of an image's machine, whatever the version. */
export function machineOf(
  definition: Definition,
): Pick<
  AmiArgs,
  | "architecture"
  | "bootMode"
  | "description"
  | "enaSupport"
  | "imdsSupport"
  | "rootDeviceName"
  | "sriovNetSupport"
  | "tpmSupport"
  | "virtualizationType"
> {
  const machine = machines[definition.architecture];
  if (machine === undefined) {
    throw new UserError(
      `EC2 has no machines of ${definition.architecture}, which ${definition.name} is for. Leave it out of cloud-images:ec2.definitions.`,
    );
  }
  return {
    ...machine,
    description: definition.description,
    enaSupport: true,
    imdsSupport: "v2.0",
    rootDeviceName,
    sriovNetSupport: "simple",
    tpmSupport: "v2.0",
    virtualizationType: "hvm",
  };
}

/**
 * When an AMI becomes deprecated: so many days after the day of its version, ISO 8601 in UTC. EC2 rounds to the minute.
 */
export function deprecationTime(version: ImageVersion, days: number): string {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})-/.exec(version) ?? [];
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().replace(".000Z", "Z");
}

/**
 * The name of the parameter that has the newest AMI: `<prefix>/debian/13/amd64/daily/latest` for `debian-13-ec2-amd64`.
 * A variant other than `ec2` stays in the name.
 */
export function parameterName(
  prefix: string,
  { name, variant, architecture }: Definition,
  channel: ImageType,
): string {
  const [distribution, ...rest] = name
    .slice(0, -`-${architecture}`.length)
    .replace(variant === "ec2" ? /-ec2$/ : "", "")
    .split("-");
  return [
    prefix,
    distribution,
    rest.join("-"),
    architecture,
    channel,
    "latest",
  ].join("/");
}
