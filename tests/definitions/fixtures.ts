import {
  type Definition,
  type DefinitionName,
  type ImageType,
  imageTypes,
} from "../../infra/definitions/definition.ts";
import type { ExpandedImage } from "../../infra/definitions/expand.ts";

export const trixie = {
  codename: "trixie",
  version: "13",
  suites: {
    debian: ["trixie", "trixie-updates"],
    security: ["trixie-security"],
  },
} as const;

/** A definition with one small value for everything; pass what matters to a test. */
export function definitionWith(parts: Partial<Definition> = {}): Definition {
  return {
    name: "debian-13-tiny-amd64" as DefinitionName,
    release: trixie,
    architecture: "amd64",
    variant: "tiny",
    description: "As small as can be",
    classes: ["DEBIAN", "TRIXIE", "AMD64", "TINY", "LAST"],
    layers: [3],
    disk: { sizeGiB: 2 },
    build: { timeoutSeconds: 600, memoryMiB: 1024 },
    bootCheck: {
      firmware: ["bios"],
      report: "credentials",
      rootGrows: false,
      diskSizeGiB: 2,
      memoryMiB: 512,
      timeoutSeconds: 60,
    },
    allowFailure: false,
    freshness: "always",
    ...parts,
  };
}

/** Such a definition as one of the matrix, of any type unless types are given. */
export function imageWith(
  parts: Partial<Definition> = {},
  types: readonly ImageType[] = imageTypes,
): ExpandedImage {
  return { definition: definitionWith(parts), types, places: new Map() };
}
