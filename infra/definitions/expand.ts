/** From the matrix to its images. Pure. */

import { z } from "zod";
import { UserError } from "../errors.ts";
import {
  type Architecture,
  type Definition,
  type DefinitionName,
  type Firmware,
  firmwaresOf,
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
  /** Field of the definition to its place; one without a place is a default. */
  readonly places: ReadonlyMap<string, Place>;
}

/** The first systemd that takes units as credentials: systemd.system-credentials(7), systemd.extra-unit.*. */
const systemdWithUnitCredentials = 256;

/** FAI applies these to every image, before and after the others. */
const firstClass = "DEBIAN";
const lastClass = "LAST";

/**
 * Expands all files to the images they describe, sorted by name.
 *
 * @throws {UserError} for a name that is given twice, used but not described, or extends itself; for an entry that
 * lacks a field even with what it inherits; for an image that is listed twice, and an exclusion of nothing.
 */
export function expandDefinitions(
  files: readonly LoadedFile[],
): readonly ExpandedImage[] {
  const matrix: Matrix = {
    releases: wholeEntries(files, "releases", wholeRelease),
    architectures: wholeEntries(
      files,
      "architectures",
      z.strictObject({ classes: z.array(z.string()) }),
    ),
    variants: wholeEntries(files, "variants", wholeVariant),
  };
  const listed = new Map<DefinitionName, Place>();
  const images = files.flatMap(({ content, placeOf }) =>
    content.images.flatMap((group, index) => {
      const place = placeOf(["images", index]);
      return combinationsOf(group, place).map((combination) => {
        const image = describe(matrix, combination, place);
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
}

interface Matrix {
  readonly releases: ReadonlyMap<string, Whole<WholeRelease>>;
  readonly architectures: ReadonlyMap<
    string,
    Whole<{ readonly classes: readonly string[] }>
  >;
  readonly variants: ReadonlyMap<string, Whole<WholeVariant>>;
}

/** The parts of a definition file that an image combines one entry each of. */
const sections = ["releases", "architectures", "variants"] as const;
type Section = (typeof sections)[number];
type Combination = Readonly<Record<Section, string>>;

function combinationsOf(
  group: DefinitionFile["images"][number],
  place: Place,
): readonly Combination[] {
  const all = group.releases.flatMap((releases) =>
    group.architectures.flatMap((architectures) =>
      group.variants.map((variants) => ({ releases, architectures, variants })),
    ),
  );
  const excluded = new Set(
    group.exclude.flatMap((rule, index) => {
      const hit = all.filter((combination) =>
        sections.every(
          (part) => rule[part]?.includes(combination[part]) ?? true,
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
  return all.filter((combination) => !excluded.has(combination));
}

function describe(
  matrix: Matrix,
  combination: Combination,
  place: Place,
): ExpandedImage {
  const release = known(matrix, "releases", combination, place);
  const architecture = known(matrix, "architectures", combination, place);
  const variant = known(matrix, "variants", combination, place);
  const { version, suites, systemd } = release.content;
  const { cloudInit, classes: _, bootCheck, ...rest } = variant.content;
  const sources = [release, architecture, variant];
  const definition: Definition = {
    name: `debian-${version}-${combination.variants}-${combination.architectures}` as DefinitionName,
    release: { codename: combination.releases, version, suites },
    architecture: combination.architectures as Architecture,
    variant: combination.variants,
    ...rest,
    classes: [
      firstClass,
      ...sources.flatMap(({ content }) => content.classes),
      lastClass,
    ],
    bootCheck: {
      ...bootCheck,
      firmware: firmwareOf(combination, variant, place),
      report: reportMethod(combination, systemd, cloudInit),
    },
  };
  return { definition, places: placesOf(release, sources, variant, place) };
}

/** Where the fields of a definition were said. */
function placesOf(
  release: Whole<WholeRelease>,
  sources: readonly Whole<{ readonly classes: readonly string[] }>[],
  variant: Whole<WholeVariant>,
  place: Place,
): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>([
    ["release.codename", place],
    ["architecture", place],
    ["variant", place],
  ]);
  for (const [field, where] of release.places) {
    if (!/^(classes|extends)/.test(field))
      places.set(`release.${field}`, where);
  }
  for (const [field, where] of variant.places) {
    if (!/^(classes|extends)/.test(field)) places.set(field, where);
  }
  const classes = sources.flatMap(({ content, places }) =>
    content.classes.map((_, index) => places.get(`classes[${index}]`)),
  );
  classes.forEach((where, index) => {
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
  section: Section,
  schema: z.ZodType<T>,
): ReadonlyMap<string, Whole<T>> {
  const entries = mergedSection(files, section);
  return new Map(
    [...entries.keys()].map((name) => {
      const entry = withInherited(entries, section, name, []);
      const { extends: _, ...value } = entry.value;
      const parsed = schema.safeParse(value);
      if (parsed.success) {
        return [name, { content: parsed.data, places: entry.places }];
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
  section: Section,
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
  section: Section,
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
