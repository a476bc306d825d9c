/** What was tried of an image as JUnit XML, for GitLab's test report. Pure. */

import type { Assertion } from "./judge.ts";

/** One test suite, such as an image under one firmware. */
export interface Suite {
  /** `<definition> <firmware>`, or the definition alone. */
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  readonly seconds: number;
  readonly assertions: readonly Assertion[];
  /** Added to each failure. */
  readonly consoleTail: readonly string[];
}

/** The document's text. */
export function junitXml(suite: Suite): string {
  const { assertions } = suite;
  const counts = {
    tests: assertions.length,
    failures: countOf(assertions, "failed"),
    errors: 0,
    skipped: countOf(assertions, "skipped"),
  };
  const attributes = xmlAttributes({
    name: suite.name,
    timestamp: suite.timestamp,
    time: suite.seconds.toFixed(3),
    ...counts,
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${xmlAttributes(counts)}>`,
    `  <testsuite ${attributes}>`,
    ...assertions.map((assertion) => testcase(suite, assertion)),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function testcase(suite: Suite, assertion: Assertion): string {
  const { name, verdict, seconds } = assertion;
  const attributes = xmlAttributes({
    classname: suite.name,
    name,
    time: seconds.toFixed(3),
  });
  if (verdict.kind === "passed") return `    <testcase ${attributes}/>`;
  return [
    `    <testcase ${attributes}>`,
    verdict.kind === "skipped"
      ? `      <skipped ${xmlAttributes({ message: verdict.reason })}/>`
      : failure(verdict.problem, suite.consoleTail),
    "    </testcase>",
  ].join("\n");
}

function failure(problem: string, consoleTail: readonly string[]): string {
  const [message = ""] = problem.split("\n");
  const text =
    consoleTail.length === 0
      ? [problem]
      : [problem, "", "The console's last lines:", ...consoleTail];
  return `      <failure ${xmlAttributes({ message })}>${escapeXml(text.join("\n"))}</failure>`;
}

function countOf(
  assertions: readonly Assertion[],
  kind: Assertion["verdict"]["kind"],
): number {
  return assertions.filter(({ verdict }) => verdict.kind === kind).length;
}

function xmlAttributes(
  attributes: Readonly<Record<string, string | number>>,
): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}="${escapeXml(String(value))}"`)
    .join(" ");
}

/** What XML 1.0 has no place for, even escaped: most control characters, halves of surrogate pairs. */
const impossibleInXml =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be removed.
  /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text that stands for itself in XML, in an element as in an attribute. */
export function escapeXml(text: string): string {
  return text
    .replace(impossibleInXml, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
