/**
 * Prints the test run's last line from vitest's JSON report: how many tests passed, failed and were skipped.
 * A file that could not even be loaded counts as one failed test, and so does a report that is missing.
 */
import { existsSync, readFileSync } from "node:fs";

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

function countTests(report: Report): string {
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" &&
      !assertionResults.some((test) => test.status === "failed"),
  ).length;
  const skipped = report.numPendingTests + report.numTodoTests;
  const counts = [
    `${report.numPassedTests} passed`,
    `${report.numFailedTests + unloaded} failed`,
  ];
  return (skipped > 0 ? [...counts, `${skipped} skipped`] : counts).join(", ");
}

const file = process.argv[2] ?? "";
console.log(
  existsSync(file)
    ? countTests(JSON.parse(readFileSync(file, "utf8")))
    : "0 passed, 1 failed",
);
