import type {
  Definition,
  DefinitionName,
} from "../../infra/definitions/definition.ts";

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
