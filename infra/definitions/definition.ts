/**
 * What the rest of the program knows of an image: one definition, expanded from the matrix in
 * `image-definitions/`. Plain data, safe to store and to send through Pulumi.
 */

/** `debian-<version>-<variant>-<architecture>`, as in `debian-13-genericcloud-amd64`. */
export type DefinitionName = string & { readonly __brand: "DefinitionName" };

/** sha256, in hex, over everything that decides the bytes of an image. */
export type ImageKey = string & { readonly __brand: "ImageKey" };

/** The public name of a build, `YYYYMMDD-N`. */
export type ImageVersion = string & { readonly __brand: "ImageVersion" };

/** Debian's names for the architectures that can be assembled. */
export const architectures = ["amd64", "arm64", "ppc64el", "riscv64"] as const;
export type Architecture = (typeof architectures)[number];

/**
 * What an image is published as (docs/decisions/0014-types.md): a try-out, the regular build, or what users are told
 * to run. Part of a stack's configuration, not of the image: it names the channel.
 */
export const imageTypes = ["dev", "daily", "release"] as const;
export type ImageType = (typeof imageTypes)[number];

/** FAI applies these classes to every image, before and after the others. */
export const firstClass = "DEBIAN";
export const lastClass = "LAST";

/**
 * What firmware a boot check starts the image with. `u-boot` is the UEFI that U-Boot brings, `open-firmware` the
 * IEEE 1275 of POWER machines (qemu's is SLOF).
 */
export const firmwares = [
  "bios",
  "uefi",
  "uefi-secure-boot",
  "u-boot",
  "open-firmware",
] as const;
export type Firmware = (typeof firmwares)[number];

/** The firmware that machines of an architecture have, and that its images can be started by. */
export const firmwaresOf: Readonly<Record<Architecture, readonly Firmware[]>> =
  {
    amd64: ["bios", "uefi", "uefi-secure-boot"],
    arm64: ["uefi", "uefi-secure-boot"],
    ppc64el: ["open-firmware"],
    riscv64: ["u-boot"],
  };

/**
 * How the boot check's script gets into an image that knows nothing of it
 * (docs/decisions/0005-how-an-image-reports.md).
 *
 * - `credentials`: a unit handed over by SMBIOS; needs systemd 256 or later.
 * - `cloud-init`: a NoCloud seed disc with a `runcmd`.
 * - `console`: root logs in on the serial console; needs an image that lets root in without password.
 */
export const reportMethods = ["credentials", "cloud-init", "console"] as const;
export type ReportMethod = (typeof reportMethods)[number];

/** One image, fully described. */
export interface Definition {
  readonly name: DefinitionName;
  readonly release: {
    /** What the release's images are filed under: Debian's codename, as in `trixie` or `trixie-backports`. */
    readonly codename: string;
    /** Debian's version number: `13`. */
    readonly version: string;
    /** Suites of the two archives that the image draws from; the first is the release itself. */
    readonly suites: {
      readonly debian: readonly string[];
      readonly security: readonly string[];
    };
  };
  readonly architecture: Architecture;
  readonly variant: string;
  /** One line for people. */
  readonly description: string;
  /** FAI classes, in the order FAI applies them. */
  readonly classes: readonly string[];
  /**
   * How many of the classes, from the first on, each layer below the image has, in rising order. The packages of a
   * layer are installed before those of the next; images with the same first classes share it.
   */
  readonly layers: readonly number[];
  readonly disk: {
    /** Size of the raw image. */
    readonly sizeGiB: number;
  };
  readonly build: {
    readonly timeoutSeconds: number;
    /** What one build needs free: the target tree lives in memory. */
    readonly memoryMiB: number;
  };
  readonly bootCheck: {
    readonly firmware: readonly Firmware[];
    readonly report: ReportMethod;
    /** Whether the root file system must fill the disk after the first boot. */
    readonly rootGrows: boolean;
    /** Size of the disk the guest sees, larger than `disk.sizeGiB` so that growth shows. */
    readonly diskSizeGiB: number;
    readonly memoryMiB: number;
    readonly timeoutSeconds: number;
  };
  /** Whether a run counts as successful though this image could not be built or does not boot. */
  readonly allowFailure: boolean;
  /** When the newest version is too old, in days; `undefined` when it never is. */
  readonly alertAfterDays?: number | undefined;
  readonly freshness: Freshness;
}

/**
 * When an archive that has moved on calls for another image (docs/decisions/0012-freshness.md).
 *
 * - `always`: whenever a package of the image would be another one.
 * - `everyHours`: the same, but not sooner than that after the last build.
 * - `pinned`: never; the image is made from the archive of that moment.
 */
export type Freshness =
  | "always"
  | { readonly everyHours: number }
  | { readonly pinned: string };
