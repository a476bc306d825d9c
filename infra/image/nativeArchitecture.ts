/** Which images this machine runs the programs of, without an emulator. */

import type { Architecture } from "../definitions/definition.ts";

/** Node's names for the architectures of images. */
const nodeNames: Readonly<Record<Architecture, string>> = {
  amd64: "x64",
  arm64: "arm64",
  ppc64el: "ppc64",
  riscv64: "riscv64",
};

/**
 * Whether images of an architecture are this machine's own.
 *
 * @param hostArchitecture as in `process.arch`
 */
export function isNative(
  architecture: Architecture,
  hostArchitecture: string = process.arch,
): boolean {
  return nodeNames[architecture] === hostArchitecture;
}
