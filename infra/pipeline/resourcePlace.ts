/** Where a resource belongs: to which image, to which place of it, and in which region that is. Pure. */

import { architectures, imageTypes } from "../definitions/definition.ts";
import type { EngineState } from "./engineDigest.ts";
import { nameOfUrn, typeOfUrn } from "./engineDigest.ts";

/** Resource types that stand for a whole image version. */
export const versionType = "cloud-images:release:ImageVersion";

/** Ends of the types of what is made of an image before it is published. */
const madeTypes = ["image:FaiImage", "image:ImageFormat", "image:BootCheck"];

/** What platforms there are: their folders, as they stand in names of resources. */
export const platforms = [
  ...["directory", "bucket", "ec2", "gce", "azure", "openstack"],
] as const;
export type Platform = (typeof platforms)[number];

/** An image version: definition and the first digits of its key. */
export interface VersionName {
  readonly definition: string;
  /** 12 hex digits. */
  readonly key: string;
}

/** Where a resource belongs. */
export type ResourcePlace =
  | { readonly kind: "version"; readonly version: VersionName }
  /** Built, converted or checked. */
  | { readonly kind: "image"; readonly version: VersionName }
  | {
      readonly kind: "publication";
      /** None for what has the newest version in it, whichever that is. */
      readonly version: VersionName | undefined;
      readonly definition: string | undefined;
      readonly platform: Platform;
      /** None where a stack has one place of the platform. */
      readonly place: string | undefined;
    }
  | { readonly kind: "gitlab"; readonly part: string }
  | { readonly kind: "machine" }
  /** Whether a runner reports to GitLab. */
  | { readonly kind: "runner" }
  | { readonly kind: "provider" }
  | { readonly kind: "stack" }
  | { readonly kind: "other" };

const versionName = /^([a-z0-9][a-z0-9.-]*)-([0-9a-f]{12})$/;
/** A key, or else an architecture and a channel, end the name of the definition, which may have a platform's in it. */
const platformPart = `(${platforms.join("|")})(?:-(.+))?$`;
const publicationName = [
  new RegExp(`^([a-z0-9][a-z0-9.-]*)-([0-9a-f]{12})-${platformPart}`),
  new RegExp(
    `^([a-z0-9][a-z0-9.-]*-(?:${architectures.join("|")}))()(?:-(?:${imageTypes.join("|")}))?-${platformPart}`,
  ),
  // What belongs to a place alone, such as a gallery, is named after it.
  new RegExp(`^()()${platformPart}`),
];

/** Machines and groups of them, whoever rents them out. */
const machineType =
  /^(aws:ec2\/(instance|spotInstanceRequest|spotFleetRequest):|aws:autoscaling\/group:|gcp:compute\/(instance|instanceGroupManager|regionInstanceGroupManager):|azure-native:compute[\w/]*:(VirtualMachine|VirtualMachineScaleSet)$)/;

/** What names the place of a platform ends with, in the order in which they are tried. */
const suffixes =
  /-(snapshot|snapshots|ami|record|blob|version|users|newest|latest|public|o-[a-z0-9]+|ou-[a-z0-9-]+|[0-9]{12})$/;

/** @param places names of each platform's places, as the stack's configuration has them */
export function placeOf(urn: string, places: PlaceNames): ResourcePlace {
  const type = typeOfUrn(urn);
  const name = nameOfUrn(urn);
  if (type === "pulumi:pulumi:Stack") return { kind: "stack" };
  if (type.startsWith("pulumi:providers:")) return { kind: "provider" };
  if (type === versionType) {
    const version = versionOf(name);
    return version ? { kind: "version", version } : { kind: "other" };
  }
  if (madeTypes.some((each) => type.endsWith(each))) {
    const version = versionOf(/^.*-[0-9a-f]{12}(?=-)/.exec(name)?.[0] ?? "");
    return version ? { kind: "image", version } : { kind: "other" };
  }
  if (machineType.test(type)) return { kind: "machine" };
  if (type.endsWith("runners:RunnerHealth")) return { kind: "runner" };
  if (type.startsWith("gitlab:") || type.startsWith("cloud-images:gitlab:")) {
    const part = /^[^-]+-(image|release|runner)\b/.exec(name)?.[1];
    return { kind: "gitlab", part: part ?? "gitlab" };
  }
  const match = publicationName
    .map((each) => each.exec(name))
    .find((found) => found !== null);
  if (!match) return { kind: "other" };
  const [, definition = "", key = "", platform, rest] = match;
  return {
    kind: "publication",
    version: key === "" ? undefined : { definition, key },
    definition: definition === "" ? undefined : definition,
    platform: platform as Platform,
    place: knownPlace(rest, places[platform as Platform] ?? []),
  };
}

/** Names of places by platform. */
export type PlaceNames = Readonly<Partial<Record<Platform, readonly string[]>>>;

/** The longest name that the rest of a resource's name begins with; what it looks like where none is known. */
function knownPlace(
  rest: string | undefined,
  names: readonly string[],
): string | undefined {
  if (rest === undefined) return undefined;
  const known = names
    .filter((name) => rest === name || rest.startsWith(`${name}-`))
    .sort((one, other) => other.length - one.length)
    .at(0);
  return known ?? rest.replace(suffixes, "");
}

function versionOf(name: string): VersionName | undefined {
  const [, definition, key] = versionName.exec(name) ?? [];
  return definition !== undefined && key !== undefined
    ? { definition, key }
    : undefined;
}

/** Where each place is, as far as the stack's file says it without secrets. */
export interface PlaceRegions {
  readonly names: PlaceNames;
  /** Regions of a place that the configuration has; none of one that is a place by itself, such as a directory. */
  regionsOf(platform: Platform, place: string | undefined): readonly string[];
}

/** @param config the values of the stack's file by their names, without the project's prefix */
export function placeRegions(
  config: Readonly<Record<string, unknown>>,
): PlaceRegions {
  const section = (platform: Platform, field: string) =>
    objectOf(objectOf(config[platform])[field]);
  const fields = {
    ec2: section("ec2", "targets"),
    gce: section("gce", "targets"),
    azure: section("azure", "places"),
    openstack: section("openstack", "clouds"),
  };
  return {
    names: Object.fromEntries(
      Object.entries(fields).map(([name, all]) => [name, Object.keys(all)]),
    ),
    regionsOf(platform, place) {
      if (platform === "bucket") {
        return textsOf(objectOf(config.bucket).region);
      }
      if (platform === "directory" || place === undefined) return [];
      const target = objectOf(fields[platform][place]);
      const regions = Object.keys(objectOf(target.regions));
      return regions.length > 0
        ? regions
        : textsOf(target.region ?? target.storageLocation ?? target.location);
    },
  };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function textsOf(value: unknown): readonly string[] {
  return typeof value === "string" ? [value] : [];
}

/** Regions that a resource's own inputs name, where the configuration says none. */
export function regionsOfState(
  state: EngineState | undefined,
): readonly string[] {
  const inputs = state?.inputs ?? {};
  return textsOf(objectOf(inputs.access).region ?? inputs.region);
}
