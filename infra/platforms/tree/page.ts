/** The catalogue as one page for people, which needs nothing but itself. Pure, but for its template. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Eta } from "eta";
import type { Firmware, ImageType } from "../../definitions/definition.ts";
import { bootCommand } from "../../image/bootCommand.ts";
import {
  type BootCheckAttachment,
  bootCheckAttachments,
} from "../../store/documents.ts";
import { buildId } from "../../store/manifest.ts";
import type {
  BootCheckRecord,
  Format,
  Package,
  PublicationRecord,
} from "../../store/records.ts";
import type { PlaceState } from "../placeStates.ts";
import { placeName } from "../platform.ts";
import type {
  CatalogueImage,
  CatalogueRelease,
  NewestImage,
} from "./catalogue.ts";
import {
  channelDirectory,
  type FileSuffix,
  fileName,
  fileOf,
  generator,
  imageNameOf,
  latestLink,
  sumsFileName,
  undatedName,
  versionDirectory,
} from "./layout.ts";
import { formatMediaTypes } from "./mediaTypes.ts";

/** Somewhere to click. */
interface Link {
  readonly text: string;
  /** Relative to the page. */
  readonly href: string;
}

interface Download extends Link {
  readonly format: string;
  readonly purpose: string;
  readonly mediaType: string;
  readonly size: string;
  readonly sha512: string;
  /** The same file under a name that stays. */
  readonly latest: Link;
}

interface PageBootCheck {
  readonly firmware: string;
  readonly acceleration: string;
  /** Seconds to each milestone, in the order of `milestones`; empty where there is none. */
  readonly seconds: readonly string[];
  readonly evidence: readonly Link[];
}

interface PageImage {
  /** For links within the page. */
  readonly anchor: string;
  readonly name: string;
  readonly description: string;
  readonly version: string;
  /** When the version was built; the page says how long ago that is. */
  readonly built: Moment | undefined;
  readonly facts: readonly (readonly [string, string])[];
  readonly downloads: readonly Download[];
  readonly documents: readonly Link[];
  readonly sums: Link;
  readonly milestones: readonly string[];
  readonly bootChecks: readonly PageBootCheck[];
  readonly kernel: string | undefined;
  readonly packages: readonly Package[];
  readonly verifyCommand: string;
  readonly bootCommands: readonly {
    readonly firmware: string;
    readonly command: string;
  }[];
  readonly older: readonly OlderVersion[];
}

interface OlderVersion {
  readonly version: string;
  readonly moment: Moment;
  readonly files: readonly Link[];
}

interface Moment {
  /** ISO 8601. */
  readonly exact: string;
  /** For people, UTC. */
  readonly day: string;
}

interface PageRelease {
  readonly anchor: string;
  readonly codename: string;
  readonly version: string;
  readonly channel: ImageType;
  readonly latest: Link;
  readonly images: readonly PageImage[];
}

/** One image in one place. */
interface PageCell {
  /** The version there. */
  readonly published:
    | {
        readonly version: string;
        readonly channel: ImageType;
        readonly verified: string;
        /** When the version was built, or published where nobody knows that any more. */
        readonly moment: Moment;
      }
    | undefined;
  readonly isCurrent: boolean;
  /** The anchor of what went wrong. */
  readonly error: string | undefined;
  /** The place, for those who see no columns. */
  readonly place: string;
}

interface PageError {
  readonly anchor: string;
  readonly image: string;
  readonly place: string;
  readonly moment: Moment;
  readonly message: string;
}

/** What is where: images by places. */
interface PagePlaces {
  readonly columns: readonly string[];
  readonly rows: readonly {
    readonly name: string;
    /** One for each column; nothing where the image is not meant to be. */
    readonly cells: readonly (PageCell | undefined)[];
  }[];
  readonly errors: readonly PageError[];
}

/** What the template gets: nothing in it is markup. */
interface Page {
  readonly generator: string;
  readonly style: string;
  readonly releases: readonly PageRelease[];
  readonly places: PagePlaces;
}

/** In the order in which they are offered: what each is for. */
const purposes: Readonly<Record<Format, string>> = {
  qcow2: "for QEMU, libvirt, Proxmox and OpenStack",
  "tar.zst": "a sparse archive of the raw disk, disk.raw",
  "tar.xz": "the same archive for those without zstd",
  "tar.gz": "the same archive as Google Compute Engine imports it",
  vmdk: "for VMware, stream-optimised",
  vhd: "for Azure and Hyper-V, of fixed size",
  "root.tar.zst": "the files of the root file system, without boot partitions",
  "oci.tar": "the same files as a container image (OCI layout)",
};

const offeredFormats = Object.keys(purposes) as readonly Format[];

const firmwareNames: Readonly<Record<Firmware, string>> = {
  bios: "BIOS",
  uefi: "UEFI",
  "uefi-secure-boot": "UEFI, Secure Boot",
  "u-boot": "UEFI (U-Boot)",
  "open-firmware": "Open Firmware",
};

const accelerationNames = { kvm: "KVM", tcg: "emulated" } as const;

const attachmentNames: Readonly<Record<BootCheckAttachment, string>> = {
  log: "console",
  png: "screenshot",
  xml: "JUnit",
};

const eta = new Eta({ views: import.meta.dirname, cache: true });
const style = readFileSync(join(import.meta.dirname, "page.css"), "utf8");

/**
 * The text of index.html: the same for the same releases, whenever it is made.
 *
 * @param latestIndex what of `latest` opens where there is a link to it; nothing where it can be listed
 */
export function indexPage(
  releases: readonly CatalogueRelease[],
  places: readonly PlaceState[] = [],
  latestIndex = "",
): string {
  const page: Page = {
    generator,
    style,
    releases: releases.map((release) => pageRelease(release, latestIndex)),
    places: pagePlaces(places),
  };
  return eta.render("./page.eta", page);
}

function pageRelease(
  { codename, version, channel, images }: CatalogueRelease,
  latestIndex: string,
): PageRelease {
  const directory = channelDirectory({ release: codename, channel });
  return {
    anchor: directory.replace("/", "-"),
    codename,
    version,
    channel,
    latest: {
      ...linkTo(`${latestLink(directory)}/${latestIndex}`),
      text: `${latestLink(directory)}/`,
    },
    images: images.map(pageImage),
  };
}

function pageImage({ newest, older }: CatalogueImage): PageImage {
  const { record, build, bootChecks } = newest;
  const { definition, version } = record;
  const milestones = [
    ...new Set(
      bootChecks.flatMap(({ milestoneSeconds }) =>
        Object.keys(milestoneSeconds),
      ),
    ),
  ];
  return {
    anchor: anchorOf(record),
    name: definition.name,
    description: definition.description,
    version,
    built: build && momentOf(build.builtAt),
    facts: factsOf(newest),
    downloads: downloadsOf(record),
    documents: [
      ...linksTo(record, "json", "manifest"),
      ...linksTo(record, "packages.txt", "package list"),
    ],
    sums: linkTo(`${versionDirectory(imageNameOf(record))}/${sumsFileName}`),
    milestones,
    bootChecks: bootChecks.map((check) =>
      pageBootCheck(record, check, milestones),
    ),
    kernel: bootChecks[0]?.kernel,
    packages: build?.packages ?? [],
    verifyCommand: `sha512sum --check --ignore-missing ${sumsFileName}`,
    bootCommands: bootCommandsOf(record),
    older: older.map(olderVersion),
  };
}

/** The same image may be in several channels. */
function anchorOf({ channel, definition }: PublicationRecord): string {
  return channel === "release"
    ? definition.name
    : `${definition.name}-${channel}`;
}

function factsOf({ record, build }: NewestImage): [string, string][] {
  const { definition, key, publishedAt } = record;
  const facts: [string, string][] = [
    ["Published", momentOf(publishedAt).day],
    ["Architecture", definition.architecture],
    [
      "Disk",
      `${definition.disk.sizeGiB} GiB${definition.bootCheck.rootGrows ? ", grows" : ""}`,
    ],
  ];
  if (build !== undefined)
    facts.push(["Packages", String(build.packages.length)]);
  facts.push(["Build", buildId(key)]);
  return facts;
}

function downloadsOf(record: PublicationRecord): Download[] {
  return offeredFormats.flatMap((format) => {
    const file = fileOf(record, format);
    if (file === undefined) return [];
    const image = imageNameOf(record);
    const latest = `${latestLink(channelDirectory(image))}/${undatedName(image, file.path)}`;
    return {
      ...linkTo(file.path),
      format,
      purpose: purposes[format],
      mediaType: formatMediaTypes[format],
      size: sizeText(file.sizeBytes),
      sha512: file.sha512,
      latest: { ...linkTo(latest), text: latest },
    };
  });
}

function pageBootCheck(
  record: PublicationRecord,
  check: BootCheckRecord,
  milestones: readonly string[],
): PageBootCheck {
  const { firmware, acceleration, milestoneSeconds } = check;
  return {
    firmware: firmwareNames[firmware],
    acceleration: accelerationNames[acceleration],
    seconds: milestones.map((name) => milestoneSeconds[name]?.toFixed(1) ?? ""),
    evidence: bootCheckAttachments.flatMap((attachment) =>
      linksTo(
        record,
        `boot-${firmware}.${attachment}`,
        attachmentNames[attachment],
      ),
    ),
  };
}

function bootCommandsOf(record: PublicationRecord): PageImage["bootCommands"] {
  const file = fileOf(record, "qcow2");
  if (file === undefined) return [];
  const { architecture, bootCheck } = record.definition;
  const { memoryMiB } = bootCheck;
  const qcow2 = fileName(file.path);
  // The command is the same with and without Secure Boot.
  const firmware = new Set(
    bootCheck.firmware.map((each) =>
      each === "uefi-secure-boot" ? "uefi" : each,
    ),
  );
  return [...firmware].map((each) => ({
    firmware: firmwareNames[each],
    command: bootCommand({
      qcow2,
      architecture,
      memoryMiB,
      firmware: each,
    }).join(" \\\n  "),
  }));
}

function olderVersion(record: PublicationRecord): OlderVersion {
  return {
    version: record.version,
    moment: momentOf(record.publishedAt),
    files: [...offeredFormats, "json" as const].flatMap((suffix) =>
      linksTo(record, suffix, suffix === "json" ? "manifest" : suffix),
    ),
  };
}

function pagePlaces(states: readonly PlaceState[]): PagePlaces {
  const columns = [...new Set(states.map(placeName))];
  const failing = states.filter(({ error }) => error !== undefined);
  const anchorOf = (state: PlaceState) => `error-${failing.indexOf(state) + 1}`;
  const images = Map.groupBy(
    states,
    ({ stack, definition }) => `${definition} ${stack}`,
  );
  const hasStacks = new Set(states.map(({ stack }) => stack)).size > 1;
  const rowName = ({ definition, stack }: PlaceState) =>
    hasStacks ? `${definition} (${stack.split("/").at(-1)})` : definition;
  const rows = [...images.values()].map((group) => ({
    name: group.slice(0, 1).map(rowName).join(""),
    cells: columns.map((place) => {
      const state = group.find((each) => placeName(each) === place);
      return state && pageCell(state, anchorOf(state));
    }),
  }));
  const errors = failing.flatMap((state) =>
    state.error === undefined
      ? []
      : [
          {
            anchor: anchorOf(state),
            image: state.definition,
            place: placeName(state),
            moment: momentOf(state.error.at),
            message: state.error.message,
          },
        ],
  );
  return { columns, rows, errors };
}

function pageCell(state: PlaceState, anchor: string): PageCell {
  const { published, isCurrent, error } = state;
  return {
    published: published && {
      version: published.version,
      channel: published.channel,
      verified: published.isVerified ? "verified" : "not verified",
      moment: momentOf(published.builtAt ?? published.publishedAt),
    },
    isCurrent,
    error: error && anchor,
    place: placeName(state),
  };
}

/** A link to one file of an image, or none when it has no such file. */
function linksTo(
  record: PublicationRecord,
  suffix: FileSuffix,
  text: string,
): Link[] {
  const file = fileOf(record, suffix);
  return file === undefined ? [] : [{ ...linkTo(file.path), text }];
}

function linkTo(path: string): Link {
  return {
    text: fileName(path),
    href: path.split("/").map(encodeURIComponent).join("/"),
  };
}

function momentOf(exact: string): Moment {
  const format = new Intl.DateTimeFormat("en-GB", {
    dateStyle: "long",
    timeZone: "UTC",
  });
  return { exact, day: format.format(new Date(exact)) };
}

/** In MiB, as people compare downloads; small files in KiB. */
function sizeText(bytes: number): string {
  const kibibytes = bytes / 1024;
  if (kibibytes < 1024) return `${Math.max(1, Math.round(kibibytes))} KiB`;
  const mebibytes = kibibytes / 1024;
  return mebibytes < 1024
    ? `${Math.round(mebibytes)} MiB`
    : `${(mebibytes / 1024).toFixed(1)} GiB`;
}
