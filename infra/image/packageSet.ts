/**
 * Which packages an image would get from the archive as it is now, without building it: what FAI would ask apt for,
 * asked of apt with an empty system. Nothing is installed, and no right is needed.
 */

import { createHash } from "node:crypto";
import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { execa } from "execa";
import pLimit from "p-limit";
import type { Definition } from "../definitions/definition.ts";
import { canonicalJson } from "../definitions/key.ts";
import { unlessMissing } from "../store/directories.ts";
import { holdLock } from "../store/directoryLock.ts";
import type { Package } from "../store/records.ts";
import {
  type ArchiveState,
  aptOptions,
  archivePatienceSeconds,
  fetchLists,
  indexDigest,
  readReleases,
} from "./archive.ts";

/** What to find out. Paths are absolute. */
export interface PackageSetRequest {
  readonly definition: Definition;
  readonly archive: ArchiveState;
  /** The config space. */
  readonly configSpace: string;
  /** Keeps package indices and answers between calls; may be deleted at any time. */
  readonly directory: string;
}

/** Arguments of one run of `apt-get`, from the action on. */
export type AptArguments = readonly string[];

/** One run of `apt-get`. */
interface AptStep {
  readonly args: AptArguments;
  /** The text of apt_preferences(5) that hold for it. */
  readonly preferences: string;
}

/**
 * The packages that a build would end with, sorted by name; `undefined` where only a build can tell: FAI would do
 * something else than install by apt-get, apt cannot install it or has settings that only the image knows, or the
 * archive moves on meanwhile.
 */
export function packageSet(
  request: PackageSetRequest,
): Promise<readonly Package[] | undefined> {
  return alone(request, () => resolvedSet(request));
}

/**
 * What the packages that a build would end with take when they are installed, in MiB, by their own word (Installed-Size,
 * Debian Policy 5.6.20); `undefined` where only a build can tell.
 */
export function packageSetMiB(
  request: PackageSetRequest,
): Promise<number | undefined> {
  return alone(request, async () => {
    const packages = await resolvedSet(request);
    if (packages === undefined) return undefined;
    const shown = await showPackages(request, packages);
    return shown === undefined
      ? undefined
      : installedMiB(installedStatus(shown));
  });
}

/** In this process; the lock, whose patience ends, is for other ones. apt keeps a core busy, and answers are shared. */
const oneAtATime = pLimit(1);

function alone<T>(
  { definition, directory }: PackageSetRequest,
  task: () => Promise<T>,
): Promise<T> {
  return oneAtATime(() =>
    holdLock(
      `packages of ${definition.release.codename}`,
      `${directory}.lock`,
      archivePatienceSeconds,
      task,
    ),
  );
}

async function resolvedSet(
  request: PackageSetRequest,
): Promise<readonly Package[] | undefined> {
  const { definition } = request;
  const steps = baseSteps(definition).map(
    (args): AptStep => ({ args, preferences: "" }),
  );
  for (const count of [...definition.layers, definition.classes.length]) {
    const classes = definition.classes.slice(0, count);
    const own = await faiSteps(request, classes);
    const preferences = await preferencesOf(request, classes);
    if (own === undefined || preferences === undefined) return undefined;
    const isLayer = count < definition.classes.length;
    const all = isLayer ? own : [updateBase, ...own];
    steps.push(...all.map((args) => ({ args, preferences })));
  }
  return answerFor(request, steps);
}

/**
 * What makes the system that FAI starts from: mmdebstrap's variant `minbase`, by the patterns that mmdebstrap(1)
 * gives to apt.
 */
function baseSteps({
  release,
  architecture,
}: Definition): readonly AptArguments[] {
  const [suite = ""] = release.suites.debian;
  const ofSuite = `?or(?archive(^${suite}$),?codename(^${suite}$)),?architecture(${architecture})`;
  const install = (pattern: string) => [
    "install",
    "--no-install-recommends",
    `?narrow(${ofSuite},${pattern})`,
  ];
  return [
    install("?essential"),
    install("?and(?priority(required),?not(?essential))"),
  ];
}

/** What FAI's task `updatebase` does before it installs what no layer has. */
const updateBase: AptArguments = ["dist-upgrade"];

/**
 * The preferences that the config space gives to the image's apt, which FAI puts into place before it installs.
 *
 * @returns `undefined` where it gives other settings as well, of which apt outside the image knows nothing
 */
async function preferencesOf(
  { configSpace }: PackageSetRequest,
  classes: readonly string[],
): Promise<string | undefined> {
  const root = join(configSpace, "files/etc/apt");
  const entries = await unlessMissing(
    readdir(root, { recursive: true, withFileTypes: true }),
  );
  const own = (entries ?? []).filter(
    (entry) => entry.isFile() && classes.includes(entry.name),
  );
  // No two classes of an image have the same file.
  const paths = own.map(({ name, parentPath }) => join(parentPath, name));
  const isPreference = (path: string) =>
    /^preferences(\.d\/[\w-]+(\.pref)?)?$/.test(relative(root, dirname(path)));
  if (!paths.every(isPreference)) return undefined;
  const texts = paths.sort().map((path) => readFile(path, "utf8"));
  return (await Promise.all(texts)).join("\n");
}

/** What FAI's own install_packages(8) would run for some classes, by its dry run. */
async function faiSteps(
  { configSpace, directory }: PackageSetRequest,
  classes: readonly string[],
): Promise<readonly AptArguments[] | undefined> {
  // It runs apt in the directory that FAI_ROOT names, so it must be one; it does nothing there.
  const root = join(directory, "root");
  await mkdir(root, { recursive: true });
  const { exitCode, stderr } = await execa(
    "install_packages",
    ["-n", "-N", "-p", join(configSpace, "package_config")],
    {
      reject: false,
      env: { classes: classes.join("\n"), FAI_ROOT: root },
    },
  );
  return exitCode === 0 ? readDryRun(stderr) : undefined;
}

/** Commands that change no set of packages. */
const idleCommands = ["apt-get clean", "dpkg --configure --pending", "dpkg -C"];

/**
 * Reads the dry run of install_packages(8).
 *
 * @returns `undefined` when it has a command that is not an installation by apt-get, or a warning
 */
export function readDryRun(text: string): readonly AptArguments[] | undefined {
  const steps: AptArguments[] = [];
  for (const line of text.split("\n").filter((each) => each !== "")) {
    if (/: reading config files from |: read config file /.test(line)) continue;
    const command = /^install_packages: executing chroot \S+ (.+)$/.exec(
      line,
    )?.[1];
    if (command === undefined) return undefined;
    if (idleCommands.includes(command.trim())) continue;
    const words = /^apt-get .*--fix-missing (install .+)$/.exec(command)?.[1];
    if (words === undefined) return undefined;
    // A step goes to apt as a list of arguments; nothing in it may be read as an option that FAI does not have.
    const isPlain = words
      .trim()
      .replace(/ --no-install-recommends(?= )/, "")
      .replace(/ -t [\w.-]+(?= )/, "")
      .split(" ")
      .every((word) => /^[a-z0-9][\w.+:=/~-]*$/.test(word));
    if (!isPlain) return undefined;
    steps.push(words.trim().split(" "));
  }
  return steps;
}

/** The set after some steps, from the cache or from apt. */
async function answerFor(
  request: PackageSetRequest,
  steps: readonly AptStep[],
): Promise<readonly Package[] | undefined> {
  const step = steps.at(-1);
  if (step === undefined) return [];
  const { archive, directory } = request;
  const answers = join(directory, "answers");
  const ofArchive = join(answers, digestOf([archive.suites, archive.mirror]));
  const path = join(ofArchive, `${digestOf(steps)}.json`);
  const known = await unlessMissing(readFile(path, "utf8"));
  if (known !== undefined) return JSON.parse(known);

  const before = await answerFor(request, steps.slice(0, -1));
  if (before === undefined) return undefined;
  if (!(await haveLists(request))) return undefined;
  const after = await simulate(request, before, step);
  if (after === undefined) return undefined;
  await mkdir(ofArchive, { recursive: true });
  for (const other of await readdir(answers)) {
    if (join(answers, other) !== ofArchive) {
      await rm(join(answers, other), { recursive: true });
    }
  }
  await writeFile(`${path}.new`, JSON.stringify(after));
  await rename(`${path}.new`, path);
  return after;
}

/** Fetches the package indices, and sees that they are those of the archive's state. */
async function haveLists({
  definition,
  archive,
  directory,
}: PackageSetRequest): Promise<boolean> {
  const { release, architecture } = definition;
  const { suites } = release;
  const { mirror } = archive;
  // A Release file is there as soon as it is fetched, its indices may not be: the marker is written last.
  const marker = join(directory, "complete");
  const wanted = canonicalJson([archive.suites, mirror]);
  const present = await unlessMissing(readFile(marker, "utf8"));
  if (present === wanted) return true;
  const lists = { suites, architecture, mirror, target: "Packages" } as const;
  if ((await fetchLists(lists, directory)) !== undefined) return false;
  const releases = await readReleases(suites, directory);
  const fetched = Object.fromEntries(
    [...releases].map(([suite, text]) => [
      suite,
      indexDigest(text, architecture),
    ]),
  );
  if (canonicalJson([fetched, mirror]) !== wanted) return false;
  await writeFile(marker, wanted);
  return true;
}

/** Has apt say what a step would do to a system with these packages. */
async function simulate(
  request: PackageSetRequest,
  before: readonly Package[],
  { args, preferences }: AptStep,
): Promise<readonly Package[] | undefined> {
  let status = "";
  if (before.length > 0) {
    const shown = await showPackages(request, before);
    if (shown === undefined) return undefined;
    status = installedStatus(shown);
  }
  const simulated = await askApt(request, "apt-get", ["-s", "-y", ...args], {
    status,
    preferences,
  });
  return simulated === undefined
    ? undefined
    : afterSimulation(before, simulated);
}

/** What the package indices say of these packages, a stanza for each. */
function showPackages(
  request: PackageSetRequest,
  packages: readonly Package[],
): Promise<string | undefined> {
  const { architecture } = request.definition;
  const names = packages.map(
    ({ name, version }) => `${name}:${architecture}=${version}`,
  );
  return askApt(request, "apt-cache", ["show", ...names]);
}

/**
 * Asks apt about a system that does not exist.
 *
 * @param system dpkg's status of it, and the preferences that hold in it
 * @returns what it printed; `undefined` when it could not answer
 */
async function askApt(
  { definition, directory }: PackageSetRequest,
  program: "apt-get" | "apt-cache",
  words: readonly string[],
  system = { status: "", preferences: "" },
): Promise<string | undefined> {
  const status = join(directory, "status");
  const preferences = join(directory, "preferences");
  await writeFile(status, system.status);
  await writeFile(preferences, system.preferences);
  const options = [
    `Dir::State::status=${status}`,
    // Containers configure apt to keep no index of what it has read, and each run would read everything again.
    "Dir::Cache::pkgcache=pkgcache.bin",
    "Dir::Cache::srcpkgcache=srcpkgcache.bin",
    `Dir::Etc::preferences=${preferences}`,
    "Dir::Etc::preferencesparts=/dev/null",
    "APT::Default-Release=",
    "APT::Install-Recommends=true",
    "APT::Install-Suggests=false",
    // mmdebstrap sets it, so that apt is not essential by itself.
    "pkgCacheGen::ForceEssential=,",
    "Debug::NoLocking=true",
  ].flatMap((option) => ["-o", option]);
  // Options come first: what a step says itself counts more.
  const { exitCode, stdout } = await execa(
    program,
    [...aptOptions(definition.architecture, directory), ...options, ...words],
    { reject: false, env: { LC_ALL: "C.UTF-8" } },
  );
  return exitCode === 0 ? stdout : undefined;
}

/** What all packages of a dpkg status take together. */
export function installedMiB(status: string): number {
  const sizes = [...status.matchAll(/^Installed-Size: (\d+)$/gm)];
  return sizes.reduce((sumKiB, [, size]) => sumKiB + Number(size), 0) / 1024;
}

/** What `apt-cache show` prints, as dpkg's status of a system in which all of it is installed. */
export function installedStatus(shown: string): string {
  const stanzas = new Map<string, string>();
  for (const stanza of shown.split(/\n{2,}/)) {
    const name = /^Package: (.+)$/m.exec(stanza)?.[1];
    if (name === undefined || stanzas.has(name)) continue;
    stanzas.set(
      name,
      stanza.replace(/^Package: .+$/m, "$&\nStatus: install ok installed"),
    );
  }
  return [...stanzas.values()].map((stanza) => `${stanza.trim()}\n\n`).join("");
}

/** The packages of a system after what `apt-get --simulate` says. */
export function afterSimulation(
  before: readonly Package[],
  simulated: string,
): readonly Package[] {
  const all = new Map(before.map((each) => [each.name, each]));
  for (const line of simulated.split("\n")) {
    const removed = /^(?:Remv|Purg) (\S+) /.exec(line)?.[1];
    if (removed !== undefined) all.delete(removed);
    // Inst NAME [OLD VERSION] (VERSION ORIGINS [ARCHITECTURE])
    const installed =
      /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) [^)]*\[([^\]]+)\]\)/.exec(line);
    const [, name = "", version = "", architecture = ""] = installed ?? [];
    if (installed !== null) all.set(name, { name, version, architecture });
  }
  return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function digestOf(value: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(value))
    .digest("hex")
    .slice(0, 16);
}
