/** What FAI says of an installation in its log directory. Pure. */

/** FAI's own logs of one run; a missing file is an empty text. */
export interface FaiLogs {
  /** One line for each hook and script: `DEBIAN/10-files      OK.` or `… FAILED with exit code 1.` */
  readonly status: string;
  /** Everything on the console. */
  readonly main: string;
  /** What the scripts said. */
  readonly scripts: string;
  /** What apt-get and dpkg said. */
  readonly software: string;
  /** The largest error code of any task; FAI's error codes are listed in fai(8). */
  readonly taskError: string;
}

/** The logs of a run that said nothing. */
export const noFaiLogs: FaiLogs = {
  status: "",
  main: "",
  scripts: "",
  software: "",
  taskError: "",
};

/** One thing that went wrong, as a sentence without its full stop. */
export type FaiFailure = string;

/** Files of the config space that name packages: path below it to text. */
export type PackageFiles = Readonly<Record<string, string>>;

/**
 * Everything that went wrong in a run of FAI, causes before what may follow from them. Its exit code is not the
 * truth: a script that failed, a hook that was left out because it is not executable, or a package that does not
 * exist, leave it at 0.
 */
export function faiFailures(
  logs: FaiLogs,
  packageFiles: PackageFiles,
): readonly FaiFailure[] {
  return [
    ...fullDisks(logs),
    ...unknownPackages(logs, packageFiles),
    ...aptErrors(logs),
    ...skippedHooks(logs),
    ...failedScripts(logs),
    ...taskErrors(logs),
  ];
}

/** The target lies in memory, of which a build has as much as its definition says; packages lie in the cache. */
function fullDisks({ main, software, scripts }: FaiLogs): FaiFailure[] {
  return [main, software, scripts].some((text) =>
    text.includes("No space left on device"),
  )
    ? [
        "no space was left: give its definition more build.memoryMiB, or the cache's disk more room",
      ]
    : [];
}

function failedScripts({ status, scripts }: FaiLogs): FaiFailure[] {
  const both = `${status}\n${scripts}`;
  const failed = [
    ...both.matchAll(/^(\S+)\s+FAILED with exit code (\d+)\.?$/gm),
  ].map(([, name, code]) => `${name} failed with exit code ${code}`);
  return [...new Set(failed)];
}

function skippedHooks({ main }: FaiLogs): FaiFailure[] {
  return [
    ...main.matchAll(/Skipping (?:\S*\/)?(hooks\/\S+) because it's not exec/g),
  ].map(([, hook]) => `${hook} is not executable: chmod +x it`);
}

/** apt's own complaint, and that of FAI about packages which apt-cache does not know. */
const unknownPackage = /^E: Unable to locate package (\S+)$/gm;
const unknownPackageList =
  /^WARNING: These unknown packages are removed from the installation list: (.*)$/gm;

function unknownPackages(
  { software }: FaiLogs,
  files: PackageFiles,
): FaiFailure[] {
  const names = [
    ...software.matchAll(unknownPackage),
    ...software.matchAll(unknownPackageList),
  ].flatMap(([, list]) => (list ?? "").trim().split(/\s+/));
  return [...new Set(names)].map((name) => {
    const origins = Object.entries(files)
      .filter(([, text]) => namesIn(text).has(name))
      .map(([path]) => path);
    const origin = origins.length > 0 ? `, in ${origins.join(" and ")},` : "";
    return `the package ${name}${origin} does not exist in the archive: correct its name, or remove it`;
  });
}

/** Words of a package_config(5) file that are not comments. */
function namesIn(text: string): ReadonlySet<string> {
  return new Set(text.replaceAll(/#.*$/gm, "").split(/\s+/));
}

function aptErrors({ software }: FaiLogs): FaiFailure[] {
  const errors = software.match(/^E: .*$/gm) ?? [];
  return [...new Set(errors)].filter((line) => !line.match(unknownPackage));
}

function taskErrors({ taskError }: FaiLogs): FaiFailure[] {
  const code = Number(taskError.trim() || "0");
  return code === 0 ? [] : [`a task of FAI ended with error code ${code}`];
}
