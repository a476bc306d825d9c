/** Debian packages of a host: what builds and checks of its architectures need, and what looks after the machine. */

import { readFileSync } from "node:fs";
import { projectPath } from "../projectPaths.ts";

/** For every machine: runners, their tokens and their key, the cache of packages, the fence, the upkeep. */
const upkeep = [
  "apt-cacher-ng",
  "ca-certificates",
  "curl",
  "git",
  "gnupg",
  "jq",
  "logrotate",
  "nftables",
  "unattended-upgrades",
];

/** qemu and firmware for boot checks (README, "Other architectures"); those of amd64 are in up.txt. */
const bootChecks: Readonly<Record<string, readonly string[]>> = {
  arm64: ["qemu-system-arm", "qemu-efi-aarch64"],
  ppc64el: ["qemu-system-ppc"],
  riscv64: ["qemu-system-riscv64", "u-boot-qemu"],
};

/** Runs programs of architectures that are not the machine's own. */
const emulator = "qemu-user-static";

/** What fetches tokens, where curl cannot. */
const clients: Readonly<Record<string, readonly string[]>> = {
  ec2: ["awscli"],
};

/** What a host's packages follow from. */
export interface PackageNeeds {
  readonly kind: string;
  /** The machine's own. */
  readonly architecture: string;
  /** Those that its runners build. */
  readonly architectures: readonly string[];
  /** Whether its jobs run the tests. */
  readonly tests: boolean;
  /** Names in a list of scripts/packages, for an architecture. */
  readonly listedPackages: (
    list: string,
    architecture: string,
  ) => readonly string[];
}

/** Names, each once and in order, so that one more list makes no other script. */
export function packagesOf(needs: PackageNeeds): readonly string[] {
  const { kind, architecture, architectures, tests, listedPackages } = needs;
  const isForeign = architectures.some((each) => each !== architecture);
  const lists = tests ? ["up", "test"] : ["up"];
  const names = [
    ...upkeep,
    ...lists.flatMap((list) => listedPackages(list, architecture)),
    ...architectures.flatMap((each) => bootChecks[each] ?? []),
    ...(isForeign ? [emulator] : []),
    ...(clients[kind] ?? []),
  ];
  return [...new Set(names)].sort();
}

/** What scripts/up or scripts/test would install on such a machine (scripts/packages/LIST.txt). */
export function listedPackages(
  list: string,
  architecture: string,
): readonly string[] {
  const text = readFileSync(
    projectPath(`scripts/packages/${list}.txt`),
    "utf8",
  );
  return text.split("\n").flatMap((line) => {
    const [name = "", only] = line.replace(/#.*/, "").trim().split(/\s+/);
    return name === "" || (only !== undefined && only !== `[${architecture}]`)
      ? []
      : [name];
  });
}
