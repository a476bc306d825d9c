/** `scripts/ci drift`: what was altered behind Pulumi's back, as JUnit, as an exit code and as an issue. */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { GitlabError, StoreError, UserError } from "../../../infra/errors.ts";
import { noteTokenVariable } from "../../../infra/gitlab/gitlabConfig.ts";
import {
  gitlabAccessOf,
  imageProjectOf,
  pipelineOf,
} from "../../../infra/pipeline/ciVariables.ts";
import {
  bringIssueUpToDate,
  type IssueEnd,
} from "../../../infra/pipeline/driftIssue.ts";
import { lookForDrift } from "../../../infra/pipeline/driftLook.ts";
import {
  type DriftReport,
  hasDrift,
  isUnreachable,
} from "../../../infra/pipeline/driftReading.ts";
import { driftJunit, driftLines } from "../../../infra/pipeline/driftText.ts";
import { GitlabClient } from "../../../infra/pipeline/gitlabClient.ts";
import { requireStackName } from "../../../infra/stackFile.ts";

export const usage = `scripts/ci drift STACK… [--junit DIRECTORY]

Compares everything that each STACK has with what its state says, read-only, and writes DIRECTORY/STACK.xml with a test case for
each place. With ${noteTokenVariable} an issue of the image project is opened for it, brought up to date, or closed. The exit code is
1 where something is altered or gone, else 2 where something could not be looked at, or an issue could not be written.`;

const exitCodes = { clean: 0, drift: 1, unseen: 2 };

/** @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals: stacks } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { junit: { type: "string" } },
  });
  if (stacks.length === 0) {
    throw new UserError(
      "scripts/ci drift: name a stack. Run scripts/ci drift --help.",
    );
  }
  for (const stack of stacks) requireStackName(stack);
  const codes: number[] = [];
  for (const stack of stacks) codes.push(await lookAt(stack, values.junit));
  return codes.includes(exitCodes.drift) ? exitCodes.drift : Math.max(...codes);
}

async function lookAt(
  stack: string,
  junit: string | undefined,
): Promise<number> {
  const path = junit === undefined ? undefined : join(junit, `${stack}.xml`);
  try {
    return await look(stack, path);
  } catch (error) {
    const isForUser = error instanceof UserError || error instanceof StoreError;
    if (!isForUser) throw error;
    console.error(error.message);
    await writeJunit(path, unseen(stack, error.message));
    return exitCodes.unseen;
  }
}

/** Nothing was seen of it at all. */
function unseen(stack: string, why: string): DriftReport {
  const nothing = { resources: 0, drifted: [], pending: 0 };
  return { stack, groups: [{ name: "stack", ...nothing, unreachable: why }] };
}

async function writeJunit(
  path: string | undefined,
  report: DriftReport,
): Promise<void> {
  if (path === undefined) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, driftJunit(report, new Date().toISOString()));
}

async function look(stack: string, junit: string | undefined): Promise<number> {
  const report = await lookForDrift(stack, process.env);
  const lookedAt = new Date().toISOString();
  await writeJunit(junit, report);
  console.log(driftText(report));
  const code = hasDrift(report)
    ? exitCodes.drift
    : isUnreachable(report)
      ? exitCodes.unseen
      : exitCodes.clean;
  try {
    const end = await tellIssue(report, lookedAt);
    if (end !== undefined) console.log(issueText(end));
  } catch (error) {
    if (!(error instanceof GitlabError)) throw error;
    console.error(error.message);
    return code === exitCodes.clean ? exitCodes.unseen : code;
  }
  return code;
}

async function tellIssue(
  report: DriftReport,
  lookedAt: string,
): Promise<IssueEnd | undefined> {
  const access = gitlabAccessOf(process.env);
  if (access === undefined) {
    console.log(`There is no ${noteTokenVariable}: no issue is written.`);
    return undefined;
  }
  const { pipeline, url } = pipelineOf(process.env);
  return bringIssueUpToDate(
    new GitlabClient(access),
    imageProjectOf(process.env),
    report,
    { pipeline, url, lookedAt },
  );
}

function driftText({ stack, groups }: DriftReport): string {
  const lines = groups.flatMap((group) => {
    const { name, drifted, unreachable, resources, pending } = group;
    if (drifted.length > 0) {
      return [
        `${name}: drift`,
        ...driftLines(group).map((line) => `  ${line}`),
      ];
    }
    if (unreachable !== undefined) {
      return [`${name}: could not be reached. ${unreachable}`];
    }
    const waiting = pending === 0 ? "" : `, ${pending} with changes to come`;
    return [`${name}: ${resources} as they were made${waiting}`];
  });
  return lines.length === 0
    ? `The stack ${stack} has nothing to look at.`
    : lines.join("\n");
}

function issueText(end: IssueEnd): string {
  return end.kind === "none"
    ? "No issue is open about it, and none is needed."
    : `Issue #${end.iid} was ${{ opened: "opened", reopened: "opened again", updated: "brought up to date", closed: "closed" }[end.kind]}.`;
}
