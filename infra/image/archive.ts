/**
 * The package archive that images are installed from: which mirror, and in what state it is.
 *
 * apt itself does the talking, so proxies, mirrors and signatures are treated as everywhere else on the
 * machine, and a Release file that has not changed is not fetched twice.
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Architecture, Definition } from "../definitions/definition.ts";
import { UserError } from "../errors.ts";
import { unlessMissing } from "../store/directories.ts";
import { holdLock } from "../store/directoryLock.ts";
import { type Mirror, sourcesText, suitesOf } from "./build/aptSources.ts";

/** What a release's suites offered at one moment. */
export interface ArchiveState {
  readonly mirror: Mirror;
  /** Suite to sha256 over the hashes of its package indices for the architecture. */
  readonly suites: Readonly<Record<string, string>>;
  /** The newest `Date:` of the Release files: no file in an image is younger. Seconds since 1970, UTC. */
  readonly epochSeconds: number;
}

/**
 * The mirror that this machine's own apt uses for Debian.
 *
 * @throws {UserError} when apt knows none, as on a machine that is not Debian.
 */
export async function mirrorOfHost(): Promise<Mirror> {
  // https://manpages.debian.org/apt-get.8: indextargets; the labels stand in Debian's own Release files.
  const { stdout } = await execa("apt-get", [
    "indextargets",
    "--format",
    "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)",
    "Created-By: Packages",
  ]);
  const uriOf = (label: string) =>
    stdout
      .split("\n")
      .map((line) => line.split("\t"))
      .find(([origin, own]) => origin === "Debian" && own === label)?.[2]
      ?.replace(/\/$/, "");
  const debian = uriOf("Debian");
  const security = uriOf("Debian-Security");
  if (debian === undefined || security === undefined) {
    throw new UserError(
      `This machine's apt has no ${debian === undefined ? "Debian" : "Debian-Security"} archive to take the mirror from. ` +
        "Run `apt-get update`, or name the mirror: scripts/pulumi config set --path cloud-images:archive.debian URI " +
        "and cloud-images:archive.security URI.",
    );
  }
  return { debian, security };
}

/**
 * Asks the archive for its present state: one conditional fetch for each suite.
 *
 * @param directory a directory of the caller's that keeps the Release files between calls
 * @throws {UserError} when a suite cannot be reached, is not signed by Debian or has expired.
 */
export async function archiveState(
  { codename, suites: wanted }: Definition["release"],
  architecture: Architecture,
  mirror: Mirror,
  directory: string,
): Promise<ArchiveState> {
  // No index is called `none`, so apt fetches and checks the Release files alone.
  const failure = await fetchLists(
    { suites: wanted, architecture, mirror, target: "none" },
    directory,
  );
  if (failure !== undefined) {
    throw new UserError(
      `The archive of ${codename} could not be read from ${mirror.debian} and ${mirror.security}:\n${failure}\n` +
        "Check the network and the mirror (cloud-images:archive in the stack's configuration, else this machine's apt sources).",
    );
  }
  const releases = await readReleases(wanted, directory);
  const suites: Record<string, string> = {};
  let epochSeconds = 0;
  for (const suite of suitesOf(wanted)) {
    const release = releases.get(suite);
    if (release === undefined) {
      throw new UserError(
        `${mirror.debian} has no signed Release file for ${suite}. Choose a mirror that carries it in cloud-images:archive.`,
      );
    }
    suites[suite] = indexDigest(release, architecture);
    epochSeconds = Math.max(epochSeconds, releaseDateSeconds(release));
  }
  return { mirror, suites, epochSeconds };
}

/** What apt is to fetch. */
export interface WantedLists {
  readonly suites: Definition["release"]["suites"];
  readonly architecture: Architecture;
  readonly mirror: Mirror;
  /** What of each suite, beside its Release file. */
  readonly target: "none" | "Packages";
}

/**
 * Has apt fetch what has changed since the last call into a directory.
 *
 * @returns what apt said, if it failed
 */
export async function fetchLists(
  { suites, architecture, mirror, target }: WantedLists,
  directory: string,
): Promise<string | undefined> {
  await mkdir(join(directory, "lists", "partial"), { recursive: true });
  await writeFile(
    sourcesFile(directory),
    sourcesText(suites, mirror, `Targets: ${target}\n`),
  );
  const result = await execa(
    "apt-get",
    ["update", "-q", ...aptOptions(architecture, directory)],
    { reject: false, all: true, env: { LC_ALL: "C.UTF-8" } },
  );
  return result.exitCode === 0 ? undefined : result.all;
}

/** The Release files that a directory has of suites: suite to text. */
export async function readReleases(
  suites: Definition["release"]["suites"],
  directory: string,
): Promise<ReadonlyMap<string, string>> {
  const lists = join(directory, "lists");
  const files = (await unlessMissing(readdir(lists))) ?? [];
  const releases = new Map<string, string>();
  for (const suite of suitesOf(suites)) {
    const file = files.find((name) => name.endsWith(`_${suite}_InRelease`));
    if (file === undefined) continue;
    releases.set(suite, await readFile(join(lists, file), "utf8"));
  }
  return releases;
}

/** Arguments that have apt work on a directory of ours instead of on the system. */
export function aptOptions(
  architecture: Architecture,
  directory: string,
): readonly string[] {
  return [
    `Dir::State=${directory}`,
    `Dir::State::lists=${join(directory, "lists")}`,
    `Dir::Cache=${directory}`,
    `Dir::Etc::sourcelist=${sourcesFile(directory)}`,
    "Dir::Etc::sourceparts=/dev/null",
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    "APT::Update::Error-Mode=any",
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
    "Acquire::Retries=2",
    "Acquire::http::Timeout=20",
    "Acquire::https::Timeout=20",
  ].flatMap((option) => ["-o", option]);
}

function sourcesFile(directory: string): string {
  return join(directory, "debian.sources");
}

/**
 * One digest over what a Release file says of the package indices for an architecture.
 *
 * Indices, not the whole file: Debian signs anew several times a day without changing a package.
 *
 * @param release text of a Release or InRelease file
 * @returns 64 hex digits
 */
export function indexDigest(
  release: string,
  architecture: Architecture,
): string {
  const lines = release
    .split("\n")
    .map((line) =>
      /^ ([0-9a-f]{64}) +\d+ (\S+\/binary-(\S+)\/Packages)$/.exec(line),
    )
    .filter((match) => match?.[3] === architecture || match?.[3] === "all")
    .map((match) => `${match?.[1]} ${match?.[2]}`)
    .sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

/** The `Date:` of a Release file, in seconds since 1970. */
export function releaseDateSeconds(release: string): number {
  const date = /^Date: (.+)$/m.exec(release)?.[1];
  const milliseconds = Date.parse(date ?? "");
  if (Number.isNaN(milliseconds)) {
    throw new UserError(
      `A Release file of the archive has no date that can be read (${date}). Choose another mirror in cloud-images:archive.`,
    );
  }
  return milliseconds / 1000;
}

/** Another run asks the archive for seconds, or for its retries and time limits. */
export const archivePatienceSeconds = 300;

/**
 * The archive states that a set of definitions needs, by their archives' names, each asked for once.
 *
 * @param mirrorOf where a definition's packages come from
 */
export async function archiveStates(
  definitions: readonly Definition[],
  mirrorOf: (definition: Definition) => Mirror,
  cacheDirectory: string,
): Promise<ReadonlyMap<string, ArchiveState>> {
  const wanted = new Map(
    definitions.map((definition) => [archiveName(definition), definition]),
  );
  const states = await Promise.all(
    [...wanted].map(async ([name, definition]) => {
      const { release, architecture } = definition;
      const directory = archiveDirectory(definition, cacheDirectory);
      // apt gives up at once where another run of this checkout is at the same lists.
      const state = await holdLock(
        `archive ${name}`,
        `${directory}.lock`,
        archivePatienceSeconds,
        () =>
          archiveState(release, architecture, mirrorOf(definition), directory),
      );
      return [name, state] as const;
    }),
  );
  return new Map(states);
}

/** The name under which {@link archiveStates} files a definition's archive. */
export function archiveName(definition: Definition): string {
  const { release, architecture } = definition;
  const name = `${release.codename}/${architecture}`;
  const pinned = pinnedTo(definition);
  return pinned === undefined ? name : `${name}-${pinned}`;
}

/** Where what is known of a definition's archive is kept between runs. */
export function archiveDirectory(
  definition: Definition,
  cacheDirectory: string,
): string {
  return join(cacheDirectory, "archive", archiveName(definition));
}

/** The timestamp that a definition is pinned to, if it is. */
export function pinnedTo({ freshness }: Definition): string | undefined {
  return typeof freshness === "object" && "pinned" in freshness
    ? freshness.pinned
    : undefined;
}
