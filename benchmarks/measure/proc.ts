/** Reads texts of the kernel: /proc and control groups. Pure. */

/** A line of /proc/PID/mountinfo (proc(5)). */
export interface Mount {
  readonly place: string;
  readonly type: string;
}

/** The mounts in a text of /proc/PID/mountinfo. */
export function mountsOf(mountinfo: string): readonly Mount[] {
  return mountinfo
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [mount = "", source = ""] = line.split(" - ");
      return {
        place: unescapeOctal(mount.split(" ")[4] ?? ""),
        type: source.split(" ")[0] ?? "",
      };
    });
}

/** Spaces and the like are written as backslash and three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** A number in a text; NaN when the pattern does not occur. The pattern's first group holds it. */
export function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? Number.NaN);
}

/** Private anonymous memory in a text of /proc/PID/smaps_rollup; shared pages count in proportion. In KiB. */
export function anonymousKiB(smapsRollup: string): number {
  return numberIn(smapsRollup, /^Pss_Anon: +(\d+) kB$/m) || 0;
}

/** The parent in a text of /proc/PID/stat. The program's name, in parentheses, may contain anything. */
export function parentOf(stat: string): number {
  return numberIn(stat.slice(stat.lastIndexOf(")")), /^\) \S (\d+)/);
}

/** All descendants of a process, itself included, from the parent of every process. */
export function treeOf(
  root: number,
  parents: ReadonlyMap<number, number>,
): readonly number[] {
  const children = [...parents]
    .filter(([, parent]) => parent === root)
    .map(([child]) => child);
  return [root, ...children.flatMap((child) => treeOf(child, parents))];
}

/**
 * Seconds in what bash's `times` prints: user and system time, on the first line the shell's own, on the
 * second that of children it has waited for.
 */
export function secondsOfTimes(times: string): number {
  return [...times.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
}
