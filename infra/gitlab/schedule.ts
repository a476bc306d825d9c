/** When schedules start pipelines, and whether GitLab would ever, or all the time. Pure. */

import { Cron } from "croner";

/** A schedule's moments, as GitLab takes them. */
export interface ScheduleTimes {
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  readonly cron: string;
  /** Name in the time zone database, such as `Europe/Berlin`. */
  readonly timezone: string;
}

/** What is wrong with a schedule, and in which field. */
export interface ScheduleProblem {
  readonly field: keyof ScheduleTimes;
  readonly message: string;
}

/**
 * What GitLab and we read alike. GitLab's reader (the Ruby library fugit) and ours differ in `?`, `L`, `#` and names such as
 * `@daily`.
 */
const cronPattern =
  /^[\d*,/-]+ [\d*,/-]+ [\d*,/-]+ [\d*,/a-z-]+ [\d*,/a-z-]+$/i;

/**
 * UTC, or a name as the time zone database has them: an area of its file `zone1970.tab` or `Etc`, and one or two names below
 * it. Intl also takes abbreviations (`IST`) and names of ICU's own (`SystemV/PST8`), and GitLab's server may lack old ones
 * (`US/Pacific`).
 */
const zonePattern =
  /^(UTC|(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific)(\/[A-Z][\w+-]*){1,2})$/;

/**
 * Minutes between two pipelines of a schedule. GitLab.com starts no more than 24 a day on its free plan (documentation of GitLab,
 * limits of scheduled pipelines), and a build of all images takes longer.
 */
const shortestMinutes = 60;

/** Runs that are looked at, from a Friday on: an irregular schedule shows its shortest pause within them. */
const observedRuns = 100;
const observedFrom = new Date("2027-01-01T00:00:00Z");

/** Finds what GitLab would refuse, never do, or do too often. */
export function scheduleProblem({
  cron,
  timezone,
}: ScheduleTimes): ScheduleProblem | undefined {
  if (!isZone(timezone)) {
    return {
      field: "timezone",
      message:
        "is no time zone that GitLab knows: name one of the time zone database, as it is spelt there, such as UTC or Europe/Berlin",
    };
  }
  const message = cronProblem(cron, timezone);
  return message === undefined ? undefined : { field: "cron", message };
}

function cronProblem(cron: string, timezone: string): string | undefined {
  if (!cronPattern.test(cron)) {
    return "must be five fields with a space between each and the next: minute, hour, day of the month, month, day of the week; of numbers, names, * , - and /";
  }
  let runs: readonly Date[];
  try {
    runs = new Cron(cron, { mode: "5-part", timezone }).nextRuns(
      observedRuns,
      observedFrom,
    );
  } catch (error) {
    const reason = (error as Error).message.replace(/^CronPattern: /, "");
    return `can never fire (${reason}): minutes go to 59, hours to 23, days to 31, months to 12, days of the week to 7`;
  }
  if (runs.length === 0) {
    return "can never fire: no month of those that it names has that day";
  }
  const minutes = shortestPause(runs);
  if (minutes >= shortestMinutes) return undefined;
  const pause = minutes === 1 ? "minute" : `${minutes} minutes`;
  return `would start a pipeline every ${pause}, at least at times, and may once an hour at most: write one number as its minute, such as 14 14 * * *`;
}

/** In whole minutes. */
function shortestPause(runs: readonly Date[]): number {
  const pauses = runs
    .slice(1)
    .map((run, index) => run.getTime() - (runs[index] as Date).getTime());
  return Math.min(...pauses) / 60_000;
}

/** Intl reads more than GitLab does: names in any case, and differences from UTC. */
function isZone(name: string): boolean {
  if (!zonePattern.test(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", {
      timeZone: name,
    }).resolvedOptions();
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}
