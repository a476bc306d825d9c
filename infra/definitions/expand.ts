/** From the matrix to its images. Pure. */

import { UserError } from "../errors.ts";
import type {
  Architecture,
  Definition,
  DefinitionName,
  ReportMethod,
} from "./definition.ts";
import type { DefinitionFile } from "./schema.ts";

/** A file of definitions that passed its schema. */
export interface LoadedFile {
  /** Its path, for messages. */
  readonly path: string;
  readonly content: DefinitionFile;
}

/** The first systemd that takes units as credentials: systemd.system-credentials(7), systemd.extra-unit.*. */
const systemdWithUnitCredentials = 256;

/** FAI applies these to every image, before and after the others. */
const firstClass = "DEBIAN";
const lastClass = "LAST";

/**
 * Expands all files to the images they describe, sorted by name.
 *
 * @throws {UserError} for a name that is given twice, used but not described, or an image that is listed twice.
 */
export function expandDefinitions(
  files: readonly LoadedFile[],
): readonly Definition[] {
  const matrix: Matrix = {
    releases: merged(files, (content) => content.releases, "releases"),
    architectures: merged(
      files,
      (content) => content.architectures,
      "architectures",
    ),
    variants: merged(files, (content) => content.variants, "variants"),
  };
  const places = new Map<DefinitionName, string>();
  const definitions = files.flatMap(({ path, content }) =>
    content.images.flatMap((images, index) => {
      const place = `${path}: images[${index}]`;
      return combinations(images).map((combination) => {
        const definition = describe(matrix, combination, place);
        const other = places.get(definition.name);
        if (other !== undefined) {
          throw new UserError(
            `${place} lists ${definition.name}, which ${other} lists already. Take it out of one of them.`,
          );
        }
        places.set(definition.name, place);
        return definition;
      });
    }),
  );
  return definitions.sort((a, b) => (a.name < b.name ? -1 : 1));
}

type Releases = DefinitionFile["releases"];
type Architectures = DefinitionFile["architectures"];
type Variants = DefinitionFile["variants"];

interface Matrix {
  readonly releases: ReadonlyMap<string, Releases[string]>;
  readonly architectures: ReadonlyMap<
    string,
    NonNullable<Architectures[Architecture]>
  >;
  readonly variants: ReadonlyMap<string, Variants[string]>;
}

interface Combination {
  readonly codename: string;
  readonly architecture: string;
  readonly variant: string;
}

function combinations(images: DefinitionFile["images"][number]): Combination[] {
  return images.releases.flatMap((codename) =>
    images.architectures.flatMap((architecture) =>
      images.variants.map((variant) => ({ codename, architecture, variant })),
    ),
  );
}

function describe(
  matrix: Matrix,
  combination: Combination,
  place: string,
): Definition {
  const { codename } = combination;
  const release = known(matrix.releases, codename, `${place}.releases`);
  const architecture = known(
    matrix.architectures,
    combination.architecture,
    `${place}.architectures`,
  );
  const variant = known(
    matrix.variants,
    combination.variant,
    `${place}.variants`,
  );
  const { cloudInit, classes, bootCheck, ...rest } = variant;
  return {
    ...rest,
    name: `debian-${release.version}-${combination.variant}-${combination.architecture}` as DefinitionName,
    release: { codename, version: release.version },
    architecture: combination.architecture as Architecture,
    variant: combination.variant,
    classes: [
      firstClass,
      ...release.classes,
      ...architecture.classes,
      ...classes,
      lastClass,
    ],
    bootCheck: {
      ...bootCheck,
      report: reportMethod(release.systemd, cloudInit),
    },
  };
}

/** The gentlest way in that an image has (docs/decisions/0005-how-an-image-reports.md). */
function reportMethod(systemd: number, cloudInit: boolean): ReportMethod {
  if (systemd >= systemdWithUnitCredentials) return "credentials";
  return cloudInit ? "cloud-init" : "console";
}

/** One section of all files together. */
function merged<T>(
  files: readonly LoadedFile[],
  section: (content: DefinitionFile) => Record<string, T>,
  sectionName: string,
): ReadonlyMap<string, T> {
  const all = new Map<string, T>();
  const origins = new Map<string, string>();
  for (const { path, content } of files) {
    for (const [name, value] of Object.entries(section(content))) {
      const other = origins.get(name);
      if (other !== undefined) {
        throw new UserError(
          `${path}: ${sectionName}.${name} is described in ${other} already. ` +
            "Give it another name, or take one of them out.",
        );
      }
      origins.set(name, path);
      all.set(name, value);
    }
  }
  return all;
}

function known<T>(all: ReadonlyMap<string, T>, name: string, place: string): T {
  const value = all.get(name);
  if (value === undefined) {
    throw new UserError(
      `${place} names ${JSON.stringify(name)}, which no file of image-definitions describes. ` +
        `Known: ${[...all.keys()].join(", ") || "none"}.`,
    );
  }
  return value;
}
