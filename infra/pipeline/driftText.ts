/** Drift as JUnit, for GitLab's test report, and as an issue. Pure. */

import { escapeXml } from "../image/bootCheck/junit.ts";
import type {
  DriftedResource,
  DriftGroup,
  DriftReport,
} from "./driftReading.ts";
import { block, code, details, list, prose, table } from "./markdown.ts";
import { cut } from "./previewReading.ts";
import { longestTextBytes, withinLimit } from "./textLimit.ts";

/** Of what is wrong with one resource, as much as anybody reads. */
const mostDetails = 20;
const mostResources = 200;

/** Of what an issue says in one line, and of why something could not be reached. */
const longestLineCharacters = 300;
const longestReasonCharacters = 500;

/** Of what an issue says of one group, so that ten of them have room in it. A resource takes 40,000 at most. */
const longestGroupBytes = 90_000;

/** One test case for each group: failed by drift, in error where it could not be looked at. */
export function driftJunit(
  { stack, groups }: DriftReport,
  timestamp: string,
): string {
  const failures = groups.filter(({ drifted }) => drifted.length > 0).length;
  const errors = groups.filter(isUnseen).length;
  const counts = `tests="${groups.length}" failures="${failures}" errors="${errors}" skipped="0"`;
  const name = escapeXml(`drift ${stack}`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${name}" timestamp="${escapeXml(timestamp)}" time="0" ${counts}>`,
    ...groups.map((group) => testcase(name, group)),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

/** Nothing was seen of it, or not all. */
function isUnseen({ unreachable, drifted }: DriftGroup): boolean {
  return unreachable !== undefined && drifted.length === 0;
}

function testcase(suite: string, group: DriftGroup): string {
  const { name, drifted, unreachable } = group;
  const open = `    <testcase classname="${suite}" name="${escapeXml(name)}" time="0"`;
  if (drifted.length === 0 && unreachable === undefined) return `${open}/>`;
  const element = (kind: string, message: string, text: string) =>
    `      <${kind} message="${escapeXml(message)}">${escapeXml(text)}</${kind}>`;
  return [
    `${open}>`,
    drifted.length > 0
      ? element("failure", headline(group), driftLines(group).join("\n"))
      : element("error", "could not be reached", unreachable ?? ""),
    "    </testcase>",
  ].join("\n");
}

function headline({ drifted }: DriftGroup): string {
  return drifted.length === 1
    ? "1 resource is not what it was made"
    : `${drifted.length} resources are not what they were made`;
}

/** What happened, a line each. */
export function driftLines({ drifted }: DriftGroup): readonly string[] {
  return drifted.flatMap(resourceLines);
}

function resourceLines({
  name,
  type,
  kind,
  details,
}: DriftedResource): readonly string[] {
  return [
    `${name} (${type}) is ${kind}${details.length > 0 ? ":" : "."}`,
    ...details.slice(0, mostDetails).map((detail) => `  ${detail}`),
    ...(details.length > mostDetails
      ? [`  … and ${details.length - mostDetails} more`]
      : []),
  ];
}

/** Where a report comes from. */
export interface DriftContext {
  readonly pipeline: number;
  readonly url?: string | undefined;
  /** ISO 8601, UTC. */
  readonly lookedAt: string;
}

/** Begins the description of an issue of ours. */
export function issueMarker(stack: string): string {
  return `<!-- cloud-images:drift stack=${stack} -->`;
}

export function issueTitle(stack: string): string {
  return `Drift in the stack ${stack}`;
}

/** The issue's description: what is altered now, as far as GitLab has room for it. */
export function issueDescription(
  { stack, groups }: DriftReport,
  { pipeline, url, lookedAt }: DriftContext,
): string {
  const drifting = groups.filter(({ drifted }) => drifted.length > 0);
  const unseen = groups.filter(({ unreachable }) => unreachable !== undefined);
  const total = drifting.reduce((sum, { drifted }) => sum + drifted.length, 0);
  const where =
    url !== undefined && /^https?:\/\/[\w.:/~-]+$/.test(url)
      ? `[pipeline ${pipeline}](${url})`
      : `pipeline ${pipeline}`;
  const sections = [
    issueMarker(stack),
    `${total === 1 ? "One resource" : `${total} resources`} of the stack ${code(stack)} ${total === 1 ? "is" : "are"} not what Pulumi made of ${total === 1 ? "it" : "them"}, as ${where} saw at ${code(lookedAt)}. Put it right by ${code("scripts/up --refresh")}, or take it into the program. This issue is kept up to date, and closed when all is well.`,
    table(
      ["Where", "Altered", "Gone", "Of"],
      drifting.map(({ name, drifted, resources }) => [
        code(name),
        String(drifted.filter(({ kind }) => kind === "altered").length),
        String(drifted.filter(({ kind }) => kind === "gone").length),
        String(resources),
      ]),
    ),
    ...(unseen.length === 0 ? [] : [notLookedAt(unseen)]),
    ...drifting.map((group) =>
      details(`${code(group.name)}: ${headline(group)}`, resourcesOf(group)),
    ),
  ];
  return withinLimit(
    sections,
    longestTextBytes,
    `${code("drift.xml")} among the job's artifacts names every resource.`,
  );
}

function notLookedAt(unseen: readonly DriftGroup[]): string {
  const items = unseen
    .slice(0, mostResources)
    .map(
      ({ name, unreachable }) =>
        `${code(name)}: ${prose(cut(unreachable ?? "", longestReasonCharacters))}`,
    );
  return withMore(
    `**Not looked at**, as it could not be reached:\n\n${list(items)}`,
    unseen.length - items.length,
  );
}

/** As many of a group's resources as there is room for. */
function resourcesOf({ drifted }: DriftGroup): string {
  const shown: string[] = [];
  let room = longestGroupBytes;
  for (const resource of drifted.slice(0, mostResources)) {
    const text = resourceLines(resource)
      .map((line) => cut(line, longestLineCharacters))
      .join("\n");
    room -= Buffer.byteLength(block(text));
    if (room < 0) break;
    shown.push(text);
  }
  return withMore(block(shown.join("\n")), drifted.length - shown.length);
}

function withMore(text: string, more: number): string {
  return more > 0 ? `${text}\n\n… and ${more} more.` : text;
}
