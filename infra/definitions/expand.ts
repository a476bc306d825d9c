/** From the matrix to its images. Pure. */

import { z } from "zod";
import { UserError } from "../errors.ts";
import {
  type Architecture,
  type Definition,
  type DefinitionName,
  type Firmware,
  firmwaresOf,
  firstClass,
  type ImageType,
  imageTypes,
  lastClass,
  type ReportMethod,
} from "./definition.ts";
import { describeIssue } from "./issues.ts";
import {
  type DefinitionFile,
  type WholeRelease,
  type WholeVariant,
  wholeRelease,
  wholeVariant,
} from "./schema.ts";
import {
  fieldName,
  inherit,
  type Place,
  type Step,
  type Traced,
  traced,
} from "./traced.ts";

/** A file of definitions that passed its schema. */
export interface LoadedFile {
  readonly content: DefinitionFile;
  /** Where a value of the content stands. */
  readonly placeOf: (steps: readonly Step[]) => Place;
}

/** An image, and where everything that it is was said. */
export interface ExpandedImage {
  readonly definition: Definition;
  /** What it may be published as. */
  readonly types: readonly ImageType[];
  /** Field of the definition to its place; one without a place is a default. */
  readonly places: ReadonlyMap<string, Place>;
}

/** The first systemd that takes units as credentials: systemd.system-credentials(7), systemd.extra-unit.*. */
const systemdWithUnitCredentials = 256;

/**
 * Expands all files to the images they describe, sorted by name.
 *
 * @param type the type whose classes the images get; those of none when left out
 * @throws {UserError} for a name that is given twice, used but not described, or extends itself; for an entry that
 * lacks a field even with what it inherits; for an image that is listed twice, an exclusion of nothing, and a boot
 * check with too small a disk.
 */
export function expandDefinitions(
  files: readonly LoadedFile[],
  type?: ImageType,
): readonly ExpandedImage[] {
  const withClasses = z.strictObject({ classes: z.array(z.string()) });
  const matrix: Matrix = {
    releases: wholeEntries(files, "releases", wholeRelease),
    architectures: wholeEntries(files, "architectures", withClasses),
    variants: wholeEntries(files, "variants", wholeVariant),
    types: wholeEntries(files, "types", withClasses),
  };
  const listed = new Map<DefinitionName, Place>();
  const images = files.flatMap(({ content, placeOf }) =>
    content.images.flatMap((group, index) => {
      const place = placeOf(["images", index]);
      return combinationsOf(group, place).map(({ types, ...combination }) => {
        const image = describe(matrix, combination, types, type, place);
        const { name } = image.definition;
        const other = listed.get(name);
        if (other !== undefined) {
          throw new UserError(
            `${place}: lists ${name}, which ${other} lists already. Take it out of one of them.`,
          );
        }
        listed.set(name, place);
        return image;
      });
    }),
  );
  return images.sort((a, b) =>
    a.definition.name < b.definition.name ? -1 : 1,
  );
}

/** An entry of the matrix with what it inherits, checked as a whole. */
interface Whole<T> {
  readonly content: T;
  readonly places: ReadonlyMap<string, Place>;
  /** How many classes each of those that it extends has, the farthest first. */
  readonly inheritedClasses: readonly number[];
}

interface Matrix {
  readonly releases: ReadonlyMap<string, Whole<WholeRelease>>;
  readonly architectures: ReadonlyMap<string, Whole<WithClasses>>;
  readonly variants: ReadonlyMap<string, Whole<WholeVariant>>;
  readonly types: ReadonlyMap<string, Whole<WithClasses>>;
}

interface WithClasses {
  readonly classes: readonly string[];
}

/** The parts of a definition file that an image combines one entry each of. */
const sections = ["releases", "architectures", "variants"] as const;
type Section = (typeof sections)[number];
type Combination = Readonly<Record<Section, string>>;

/** What a group lists, each with the types that no rule leaves out. */
function combinationsOf(
  group: DefinitionFile["images"][number],
  place: Place,
): readonly (Combination & { readonly types: readonly ImageType[] })[] {
  const images = group.releases.flatMap((releases) =>
    group.architectures.flatMap((architectures) =>
      group.variants.map((variants) => ({ releases, architectures, variants })),
    ),
  );
  const all = images.flatMap((image) =>
    group.types.map((types) => ({ ...image, image, types })),
  );
  const excluded = new Set(
    group.exclude.flatMap((rule, index) => {
      const hit = all.filter((combination) =>
        ([...sections, "types"] as const).every(
          (part) =>
            (rule[part] as readonly string[] | undefined)?.includes(
              combination[part],
            ) ?? true,
        ),
      );
      if (hit.length === 0) {
        throw new UserError(
          `${place}: exclude[${index}] leaves nothing out. Correct its names, or remove it.`,
        );
      }
      return hit;
    }),
  );
  const left = Map.groupBy(
    all.filter((combination) => !excluded.has(combination)),
    ({ image }) => image,
  );
  return [...left].map(([image, combinations]) => ({
    ...image,
    types: imageTypes.filter((each) =>
      combinations.some(({ types }) => types === each),
    ),
  }));
}

function describe(
  matrix: Matrix,
  combination: Combination,
  types: readonly ImageType[],
  type: ImageType | undefined,
  place: Place,
): ExpandedImage {
  const release = known(matrix, "releases", combination, place);
  const architecture = known(matrix, "architectures", combination, place);
  const variant = known(matrix, "variants", combination, place);
  const { version, suites, systemd } = release.content;
  const { cloudInit, classes: _, bootCheck, ...rest } = variant.content;
  const ofType = type && matrix.types.get(type);
  requireRoomToBoot(combination.variants, variant);
  const sources = [release, architecture, variant, ...(ofType ? [ofType] : [])];
  const classes = classesOf(sources);
  const said = { ...kept(release.content), ...kept(variant.content) };
  const definition: Definition = {
    name: `debian-${version}-${combination.variants}-${combination.architectures}` as DefinitionName,
    release: { codename: combination.releases, version, suites },
    architecture: combination.architectures as Architecture,
    variant: combination.variants,
    ...rest,
    ...said,
    allowFailure: said.allowFailure ?? false,
    freshness: said.freshness ?? "always",
    classes: [firstClass, ...classes.keys(), lastClass],
    layers: layersOf(release, architecture, variant),
    bootCheck: {
      ...bootCheck,
      firmware: firmwareOf(combination, variant, place),
      report: reportMethod(combination, systemd, cloudInit),
    },
  };
  return {
    definition,
    types,
    places: placesOf(release, classes, variant, place),
  };
}

/** The disk that a boot check offers holds the image, and is larger where growth has to show. */
function requireRoomToBoot(
  name: string,
  { content: { disk, bootCheck }, places }: Whole<WholeVariant>,
): void {
  const least = disk.sizeGiB + (bootCheck.rootGrows ? 1 : 0);
  if (bootCheck.diskSizeGiB >= least) return;
  throw new UserError(
    `${places.get("bootCheck.diskSizeGiB")}: variants.${name}.bootCheck.diskSizeGiB is ${bootCheck.diskSizeGiB}, and with ` +
      `disk.sizeGiB ${disk.sizeGiB} (${places.get("disk.sizeGiB")}) it must be at least ${least}.`,
  );
}

/** Where the layers end: with what all variants of a release and an architecture have, and with each that is extended. */
function layersOf(
  release: Whole<WithClasses>,
  architecture: Whole<WithClasses>,
  { content: { classes }, inheritedClasses }: Whole<WholeVariant>,
): readonly number[] {
  const shared = [
    firstClass,
    ...release.content.classes,
    ...architecture.content.classes,
  ];
  const counts = [0, ...inheritedClasses].map(
    (inherited) => new Set([...shared, ...classes.slice(0, inherited)]).size,
  );
  return [...new Set(counts)];
}

/** Classes of all sources in their order, each where it comes first, with its place. */
function classesOf(
  sources: readonly Whole<WithClasses>[],
): ReadonlyMap<string, Place | undefined> {
  const classes = new Map<string, Place | undefined>();
  for (const { content, places } of sources) {
    for (const [index, name] of content.classes.entries()) {
      if (!classes.has(name))
        classes.set(name, places.get(`classes[${index}]`));
    }
  }
  return classes;
}

/** Fields of releases that are not about the release but about how its images are kept up. */
const keptFields = ["allowFailure", "alertAfterDays", "freshness"] as const;
type Kept = Partial<Pick<WholeRelease, (typeof keptFields)[number]>>;

/** Those of the fields that an entry says. */
function kept(content: WholeRelease | WholeVariant): Kept {
  return Object.fromEntries(
    keptFields
      .filter((field) => content[field] !== undefined)
      .map((field) => [field, content[field]]),
  );
}

/** Where the fields of a definition were said. */
function placesOf(
  release: Whole<WholeRelease>,
  classes: ReadonlyMap<string, Place | undefined>,
  variant: Whole<WholeVariant>,
  place: Place,
): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>([
    ["release.codename", place],
    ["architecture", place],
    ["variant", place],
  ]);
  for (const [field, where] of release.places) {
    if (/^(classes|extends)/.test(field)) continue;
    const [first] = field.split(".");
    const isKept = keptFields.some((name) => name === first);
    places.set(isKept ? field : `release.${field}`, where);
  }
  for (const [field, where] of variant.places) {
    if (!/^(classes|extends)/.test(field)) places.set(field, where);
  }
  [...classes.values()].forEach((where, index) => {
    // The first class is every image's.
    if (where !== undefined) places.set(`classes[${index + 1}]`, where);
  });
  return places;
}

/**
 * Of the firmware that the variant asks for, what machines of the architecture have.
 *
 * @throws {UserError} when that is none.
 */
function firmwareOf(
  { architectures, variants }: Combination,
  { content, places }: Whole<WholeVariant>,
  place: Place,
): readonly Firmware[] {
  const possible = firmwaresOf[architectures as Architecture];
  const wanted = content.bootCheck.firmware;
  const firmware = wanted.filter((each) => possible.includes(each));
  if (firmware.length === 0) {
    throw new UserError(
      `${place}: lists ${variants} for ${architectures}, whose machines have none of the firmware ${wanted.join(", ")} ` +
        `(${places.get("bootCheck.firmware") ?? place}). Add one of ${possible.join(", ")} there, or exclude the combination.`,
    );
  }
  return firmware;
}

/** Their machines tell an image what qemu's SMBIOS strings say; ppc64el has no SMBIOS, qemu's riscv64 none before 9. */
const architecturesWithSmbios = ["amd64", "arm64"];

/** The gentlest way in that an image has (docs/decisions/0005-how-an-image-reports.md). */
function reportMethod(
  { architectures }: Combination,
  systemd: number,
  cloudInit: boolean,
): ReportMethod {
  const takesCredentials =
    systemd >= systemdWithUnitCredentials &&
    architecturesWithSmbios.includes(architectures);
  if (takesCredentials) return "credentials";
  return cloudInit ? "cloud-init" : "console";
}

/** One section of all files together, each entry with what it inherits. */
function wholeEntries<T>(
  files: readonly LoadedFile[],
  section: Section | "types",
  schema: z.ZodType<T>,
): ReadonlyMap<string, Whole<T>> {
  const entries = mergedSection(files, section);
  return new Map(
    [...entries.keys()].map((name) => {
      const entry = withInherited(entries, section, name, []);
      const { extends: _, ...value } = entry.value;
      const parsed = schema.safeParse(value);
      if (parsed.success) {
        const { places } = entry;
        const inheritedClasses = classesOfParents(entries, section, name);
        return [name, { content: parsed.data, places, inheritedClasses }];
      }
      const problems = parsed.error.issues.map((issue) => {
        const field = fieldName(issue.path as readonly Step[]);
        const place = entry.places.get(field) ?? entry.place;
        return `${place}: ${section}.${name}.${describeIssue(issue)}`;
      });
      throw new UserError(problems.join("\n"));
    }),
  );
}

function mergedSection(
  files: readonly LoadedFile[],
  section: Section | "types",
): ReadonlyMap<string, Traced> {
  const all = new Map<string, Traced>();
  for (const { content, placeOf } of files) {
    for (const [name, value] of Object.entries(content[section])) {
      const entry = traced(value, (steps) =>
        placeOf([section, name, ...steps]),
      );
      const other = all.get(name);
      if (other !== undefined) {
        throw new UserError(
          `${entry.place}: ${section}.${name} is described in ${other.place} already. ` +
            `Give it another name, with "extends: ${name}" to change a part of it.`,
        );
      }
      all.set(name, entry);
    }
  }
  return all;
}

/** @param heirs the entries that led here, the first one first */
function withInherited(
  entries: ReadonlyMap<string, Traced>,
  section: Section | "types",
  name: string,
  heirs: readonly string[],
): Traced {
  const entry = entries.get(name) as Traced;
  const parent = entry.value.extends as string | undefined;
  if (parent === undefined) return entry;
  const place = entry.places.get("extends");
  if ([...heirs, name].includes(parent)) {
    throw new UserError(
      `${place}: ${section}.${[...heirs, name, parent].join(" extends ")}, which never ends. Take one "extends" out.`,
    );
  }
  if (!entries.has(parent)) {
    throw new UserError(
      `${place}: ${section}.${name} extends ${JSON.stringify(parent)}, which no file of image-definitions describes. ` +
        `Known: ${[...entries.keys()].filter((key) => key !== name).join(", ") || "none"}.`,
    );
  }
  return inherit(
    withInherited(entries, section, parent, [...heirs, name]),
    entry,
  );
}

/** How many classes each of those has that an entry extends, the farthest first. */
function classesOfParents(
  entries: ReadonlyMap<string, Traced>,
  section: Section | "types",
  name: string,
): readonly number[] {
  const parent = entries.get(name)?.value.extends as string | undefined;
  if (parent === undefined) return [];
  const { value } = withInherited(entries, section, parent, []);
  const classes = (value.classes ?? []) as readonly string[];
  return [...classesOfParents(entries, section, parent), classes.length];
}

function known<S extends Section>(
  matrix: Matrix,
  section: S,
  combination: Combination,
  place: Place,
): Matrix[S] extends ReadonlyMap<string, infer T> ? T : never;
function known(
  matrix: Matrix,
  section: Section,
  combination: Combination,
  place: Place,
): unknown {
  const name = combination[section];
  const entry = matrix[section].get(name);
  if (entry === undefined) {
    throw new UserError(
      `${place}: images.${section} names ${JSON.stringify(name)}, which no file of image-definitions describes. ` +
        `Known: ${[...matrix[section].keys()].join(", ") || "none"}.`,
    );
  }
  return entry;
}
