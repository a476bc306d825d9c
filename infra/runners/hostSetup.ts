/**
 * What makes a machine a host of runners: one list of steps, from which come the script for a machine that exists and the
 * user data of one that a cloud starts.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectPath } from "../projectPaths.ts";
import { listedPackages, packagesOf } from "./hostPackages.ts";
import type { HostConfig } from "./runnerHostsConfig.ts";

/** In this order; each is a function in a file of its name below setup/. */
const steps = [
  "confine_cache",
  "install_packages",
  "fence_metadata",
  "install_runner",
  "prepare_user",
  "cache_packages",
  "clean_up",
  "look_after",
  "configure_runners",
] as const;

/** Where a machine finds its runners' tokens: by its own identity in its cloud, or on standard input. */
export type TokenSource =
  | { readonly kind: "ec2"; readonly name: string; readonly region: string }
  /** `projects/PROJECT/secrets/SECRET/versions/NUMBER` */
  | { readonly kind: "gce"; readonly name: string }
  /** Address of the secret in its vault, and the client id of the machine's identity. */
  | {
      readonly kind: "azure";
      readonly name: string;
      readonly identity: string;
    }
  | { readonly kind: "existing" };

/** What a machine is made into. */
export interface HostSetup {
  readonly name: string;
  readonly gitlabUrl: string;
  readonly config: Pick<
    HostConfig,
    | "kind"
    | "runners"
    | "architecture"
    | "tests"
    | "concurrent"
    | "archive"
    | "diskSharePercent"
  > & {
    readonly cache?: { readonly bucket: string } | undefined;
    readonly region?: string | undefined;
  };
  /** Architectures that its runners build, by their tags. */
  readonly architectures: readonly string[];
  readonly tokens: TokenSource;
}

/** The script, to be run by root; again as often as one likes. It holds no secret. */
export function setupScript(setup: HostSetup): string {
  const { tokens } = setup;
  return [
    "#!/bin/bash",
    "# Makes this machine a host of GitLab runners. Made by infra/runners; run again, it changes only what is not so.",
    "set -euo pipefail",
    "umask 022",
    "CHANGED=()",
    ...settingsOf(setup),
    ...["begin", ...steps, `tokens_${tokens.kind}`].map(pieceOf),
    "main() {",
    ...steps.map((step) => `  ${step}`),
    "}",
    "",
  ].join("\n");
}

/** Undoes it, on a machine that goes on without its runners. */
export function removalScript(): string {
  return readFileSync(pathOf("remove"), "utf8");
}

/** Bash variables. */
function settingsOf({
  name,
  gitlabUrl,
  config,
  architectures,
  tokens,
}: HostSetup): readonly string[] {
  const { archive, cache, concurrent, diskSharePercent, region, runners } =
    config;
  const packages = packagesOf({ ...config, architectures, listedPackages });
  const texts = {
    HOST: name,
    GITLAB_URL: gitlabUrl,
    GITLAB_ARCHIVE: archive.url,
    GITLAB_ARCHIVE_HOST: new URL(archive.url).hostname,
    GITLAB_KEY: archive.key,
    GITLAB_KEY_URL: archive.keyUrl,
    CONCURRENT: String(concurrent),
    DISK_SHARE: String(diskSharePercent),
    CACHE_BUCKET: cache?.bucket ?? "",
    CACHE_REGION: region ?? "",
    ...("name" in tokens ? { TOKENS_NAME: tokens.name } : {}),
    ...("region" in tokens ? { TOKENS_REGION: tokens.region } : {}),
    ...("identity" in tokens ? { TOKENS_IDENTITY: tokens.identity } : {}),
  };
  return [
    ...Object.entries(texts).map(([key, text]) => `${key}=${quoted(text)}`),
    `RUNNERS=(${runners.map(quoted).join(" ")})`,
    `PACKAGES=(${packages.map(quoted).join(" ")})`,
  ];
}

/** A text as one word of bash. Pure. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text)
    ? text
    : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A file of setup/, without the line that is for shellcheck alone. */
function pieceOf(name: string): string {
  return readFileSync(pathOf(name), "utf8").replaceAll(
    /^ *# shellcheck .*\n/gm,
    "",
  );
}

function pathOf(name: string): string {
  return join(projectPath("infra/runners/setup"), `${name}.sh`);
}
