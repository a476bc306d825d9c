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

/** One thing that went wrong, as a sentence without its full stop. */
export type FaiFailure = string;

/**
 * Everything that went wrong in a run of FAI. Its exit code is not the truth: a script that failed, a hook
 * that was left out because it is not executable, or a package that does not exist, leave it at 0.
 */
export function faiFailures(logs: FaiLogs): readonly FaiFailure[] {
  return [
    ...failedScripts(logs),
    ...skippedHooks(logs),
    ...unknownPackages(logs),
    ...aptErrors(logs),
    ...taskErrors(logs),
  ];
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

function unknownPackages({ software }: FaiLogs): FaiFailure[] {
  const names = [
    ...software.matchAll(
      /^WARNING: These unknown packages are removed from the installation list: (.*)$/gm,
    ),
  ].flatMap(([, list]) => (list ?? "").trim().split(/\s+/));
  return [...new Set(names)].map(
    (name) => `package ${name} does not exist in the archive`,
  );
}

function aptErrors({ software }: FaiLogs): FaiFailure[] {
  return [...new Set(software.match(/^E: .*$/gm) ?? [])];
}

function taskErrors({ taskError }: FaiLogs): FaiFailure[] {
  const code = Number(taskError.trim() || "0");
  return code === 0 ? [] : [`a task of FAI ended with error code ${code}`];
}
