/** How a job's image came out: what the job leaves, and what the summary of a pipeline says of it. Pure. */

import { z } from "zod";
import { architectures } from "../definitions/definition.ts";
import { table } from "../definitions/listing.ts";
import type { Verdict } from "../image/bootCheck/judge.ts";
import { junitXml } from "../image/bootCheck/junit.ts";
import {
  definitionNameSchema,
  imageKeySchema,
  imageVersionSchema,
} from "../store/records.ts";

/** A part of the work: `build`, `format qcow2`, `boot check uefi`. */
const stageSchema = z
  .object({
    name: z.string(),
    seconds: z.number().nonnegative(),
    /** Skipped for want of an image. */
    verdict: z.enum(["passed", "failed", "skipped"]),
    /** Why it failed. */
    problem: z.string().optional(),
  })
  .readonly();
export type Stage = z.infer<typeof stageSchema>;

const reportSchema = z
  .object({
    definition: definitionNameSchema,
    architecture: z.enum(architectures),
    allowFailure: z.boolean(),
    key: imageKeySchema,
    /** None where nothing was built. */
    version: imageVersionSchema.optional(),
    /** Whether this job built it; else the store had it. */
    isBuiltHere: z.boolean(),
    /** Whether it was built again because the store had lost its image. */
    isRebuilt: z.boolean(),
    stages: z.array(stageSchema).readonly(),
  })
  .readonly();
export type ImageReport = z.infer<typeof reportSchema>;

/**
 * Reads a report that a job left.
 *
 * @throws {Error} for a text that is something else.
 */
export function parseReport(text: string): ImageReport {
  return reportSchema.parse(JSON.parse(text));
}

/** Whether the image is good: built, converted and checked. */
export function isGood({ stages }: ImageReport): boolean {
  return stages.every(({ verdict }) => verdict === "passed");
}

/** The report as JUnit XML: a test case for each part of the work. */
export function reportXml(report: ImageReport, now: Date): string {
  const { definition, stages } = report;
  const seconds = stages.reduce((sum, each) => sum + each.seconds, 0);
  return junitXml({
    ...{ name: definition, timestamp: now.toISOString(), seconds },
    assertions: stages.map((stage) => ({
      ...{ name: stage.name, seconds: stage.seconds },
      verdict: verdictOf(stage),
    })),
    consoleTail: [],
  });
}

function verdictOf({ verdict, problem = "" }: Stage): Verdict {
  if (verdict === "passed") return { kind: "passed" };
  if (verdict === "failed") return { kind: "failed", problem };
  return { kind: "skipped", reason: "There is no image." };
}

/** What a pipeline's jobs came to. */
export interface Outcome {
  readonly definition: string;
  /** None where the job left none: its runner died, or it could not begin. */
  readonly report: ImageReport | undefined;
}

/** Whether the pipeline's images are good, or were allowed not to be. */
export function isAcceptable({ report }: Outcome): boolean {
  return report !== undefined && (isGood(report) || report.allowFailure);
}

/** The outcomes for people, those that broke first. */
export function summaryText(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => [
    outcome.definition,
    outcome.report?.version ?? "-",
    stateOf(outcome),
    outcome.report === undefined ? "" : brokenStages(outcome.report),
  ]);
  const order = [
    "FAILED",
    "NO RESULT",
    "allowed failure",
    "built",
    "built again",
    "was there",
  ];
  const sorted = rows.toSorted(
    (one, other) => order.indexOf(one[2] ?? "") - order.indexOf(other[2] ?? ""),
  );
  const problems = outcomes.flatMap(({ definition, report }) =>
    (report?.stages ?? []).flatMap(({ name, problem }) =>
      problem === undefined ? [] : [`${definition}, ${name}: ${problem}`],
    ),
  );
  return [
    table([["IMAGE", "VERSION", "STATE", "BROKE"], ...sorted]),
    ...problems,
  ].join("\n\n");
}

function stateOf({ report }: Outcome): string {
  if (report === undefined) return "NO RESULT";
  if (isGood(report))
    return report.isBuiltHere
      ? "built"
      : report.isRebuilt
        ? "built again"
        : "was there";
  return report.allowFailure ? "allowed failure" : "FAILED";
}

function brokenStages({ stages }: ImageReport): string {
  return stages
    .filter(({ verdict }) => verdict === "failed")
    .map(({ name }) => name)
    .join(", ");
}
