/** Whether runners report, as the engine's refresh shows it. */

import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";
import {
  implementation,
  reporting,
  stateOf,
} from "../../infra/runners/runnerHealthProvider.ts";
import { requireSuccess, TestProgram } from "../doubles/program.ts";
import { RunnerStates } from "../servers/runnerStates.ts";

// Some bring a stack up.
vi.setConfig({ testTimeout: 120_000 });

let gitlab: RunnerStates;
let program: TestProgram;

beforeAll(async () => {
  gitlab = await RunnerStates.start();
  program = await TestProgram.create({ GITLAB_TOKEN: gitlab.token });
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await gitlab?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  vi.stubEnv("GITLAB_TOKEN", gitlab.token);
  gitlab.asked.length = 0;
  gitlab.managers.clear();
  gitlab.isOld = false;
  return () => vi.unstubAllEnvs();
});

const hour = 3_600_000;

function ago(hours: number): string {
  return new Date(Date.now() - hours * hour).toISOString();
}

function inputs(changes: object = {}) {
  return {
    ...{ api: `${gitlab.url}/api/v4`, runner: "7", name: "merge-amd64" },
    ...{ host: "ec2", silentMinutes: 120, machines: 1, generation: "1" },
    state: reporting,
    ...changes,
  };
}

/** As if it had been declared long ago. */
const old = () => ({ ...inputs(), since: ago(48) });

test.each<[string, string | null | undefined, number, RegExp]>([
  ["one that was heard of just now", ago(0.5), 48, /^reporting$/],
  ["one that was heard of long ago", ago(3), 48, /^silent since 20.*Z$/],
  ["one that never came", null, 48, /^silent since it was declared at 20/],
  ["one that has just been declared", null, 1, /^reporting$/],
  ["one whose machines have just been changed", ago(30), 1, /^reporting$/],
  ["one that is gone", undefined, 48, /^unknown to GitLab$/],
])("%s is as it is", (_case, contact, declared, state) => {
  const found = contact === undefined ? undefined : { contacted_at: contact };
  const known = { since: ago(declared), silentMinutes: 120, machines: 1 };
  expect(stateOf(found, known, Date.now())).toMatch(state);
});

test.each<[string, (string | null)[] | undefined, number, string]>([
  ["all of them", [ago(0), ago(1)], 48, reporting],
  ["one of two", [ago(0), ago(3)], 48, "1 of 2 machines report"],
  ["one that never came", [ago(0), null], 48, "1 of 2 machines report"],
  ["one that GitLab has no word of", [ago(1)], 48, "1 of 2 machines report"],
  ["none, though the runner was", [], 48, "0 of 2 machines report"],
  [
    "more, with two that are gone",
    [ago(0), ago(90), ago(1), ago(3)],
    48,
    reporting,
  ],
  ["more than there have to be", [ago(0), ago(1), ago(0)], 48, reporting],
  ["one of two that were just declared", [ago(0)], 1, reporting],
  ["whatever an older GitLab does not tell", undefined, 48, reporting],
])("of two machines, %s", (_case, contacts, declared, state) => {
  const found = {
    contacted_at: ago(0),
    managers: contacts?.map((contacted_at) => ({ contacted_at })),
  };
  const known = { since: ago(declared), silentMinutes: 120, machines: 2 };
  expect(stateOf(found, known, Date.now())).toBe(state);
});

test("a dead machine of two is seen, by a GitLab that tells of machines", async () => {
  gitlab.contacts.set("7", ago(0));
  gitlab.managers.set("7", [ago(0), ago(5)]);
  const read = () => implementation.read("x", { ...old(), machines: 2 });
  expect(await read()).toMatchObject({ state: "1 of 2 machines report" });
  gitlab.isOld = true;
  expect(await read()).toMatchObject({ state: reporting });
});

test("a quiet day is none too many where there may be no machine", async () => {
  gitlab.contacts.set("7", ago(24));
  const resting = { machines: 0, silentMinutes: 8 * 24 * 60 };
  const outputs = { ...old(), since: ago(24 * 30), ...resting };
  expect(await implementation.read("x", outputs)).toMatchObject({
    state: reporting,
  });
});

test("it is asked for again while GitLab is busy", async () => {
  gitlab.contacts.set("7", ago(0));
  gitlab.refusals.push(429, 502);
  expect(await implementation.read("x", old())).toMatchObject({
    state: reporting,
  });
  expect(gitlab.asked).toEqual([
    ...Array(3).fill("GET /api/v4/runners/7"),
    "GET /api/v4/runners/7/managers",
  ]);
});

test("a busy GitLab is left alone after a while", async () => {
  gitlab.refusals.push(429, 429, 429, 429);
  await expect(implementation.read("x", old())).rejects.toThrow(
    "/api/v4 answered 429 when it was asked about runner 7. Try again.",
  );
  expect(gitlab.asked).toHaveLength(4);
});

test("a token that is not good enough is told, and so is none", async () => {
  const read = (token: string) => {
    vi.stubEnv("GITLAB_TOKEN", token);
    return implementation.read("x", old());
  };
  await expect(read("glpat-other")).rejects.toThrow(
    "refused to tell about runner 7 (401): its token needs the scope api",
  );
  await expect(read("")).rejects.toThrow("set GITLAB_TOKEN");
});

test("a server that is away is told as that", async () => {
  await expect(
    implementation.read("x", { ...old(), api: "http://127.0.0.1:9/api/v4" }),
  ).rejects.toThrow(
    "http://127.0.0.1:9/api/v4/runners/7 cannot be reached. Try again.",
  );
});

test.each([{ generation: "2" }, { machines: 2 }])(
  "other machines begin anew, and are not asked after: %o",
  async (change) => {
    const updated = await implementation.update(
      "x",
      { ...old(), state: "silent since 2026-01-01T00:00:00.000Z" },
      inputs(change),
    );
    expect(updated).toMatchObject({ state: reporting, ...change });
    expect(Date.parse(updated.since)).toBeGreaterThan(Date.now() - hour);
    expect(gitlab.asked).toEqual([]);
  },
);

async function declare(changes: object): Promise<void> {
  await program.write(`
import * as pulumi from "@pulumi/pulumi";
import { RunnerHealth } from "${projectPath("infra/runners/runnerHealth.ts")}";
new RunnerHealth("health", ${JSON.stringify(inputs(changes))});
`);
}

test("a runner that stops reporting shows in drift, until it is back", async () => {
  gitlab.contacts.set("7", ago(0));
  await declare({});
  requireSuccess(await program.up());
  const drift = () =>
    program.pulumi("preview", "--refresh", "--expect-no-changes", "--diff");
  requireSuccess(await drift());

  const state = JSON.stringify(
    (await program.pulumi("stack", "export")).output,
  );
  expect(state).not.toContain(gitlab.token);

  // Declared two days ago, and not heard of since yesterday.
  const file = `${program.directory}/state.json`;
  requireSuccess(await program.pulumi("stack", "export", "--file", file));
  const { readFile, writeFile } = await import("node:fs/promises");
  const text = await readFile(file, "utf8");
  await writeFile(
    file,
    text.replaceAll(/"since": "[^"]+"/g, `"since": "${ago(48)}"`),
  );
  requireSuccess(await program.pulumi("stack", "import", "--file", file));
  const yesterday = ago(24);
  gitlab.contacts.set("7", yesterday);
  const silent = await drift();
  expect(silent.exitCode).not.toBe(0);
  expect(silent.output).toContain(`silent since ${yesterday}`);

  const up = await program.up("--refresh");
  expect(up.exitCode).not.toBe(0);
  expect(up.output).toContain(
    `The runner merge-amd64 is not well: silent since ${yesterday}. Look at the machines of the host ec2`,
  );

  gitlab.contacts.set("7", ago(0));
  gitlab.managers.set("7", []);
  const missing = await drift();
  expect(missing.exitCode).not.toBe(0);
  expect(missing.output).toContain("0 of 1 machines report");

  gitlab.managers.clear();
  requireSuccess(await program.up("--refresh"));
  requireSuccess(await drift());
});
