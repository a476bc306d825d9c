/** By the real engine, which is told what the SDK says. */

import { expect, test } from "vitest";
import { projectPath } from "../infra/projectPaths.ts";
import { TestProgram } from "./doubles/program.ts";

const text = `
import * as pulumi from "@pulumi/pulumi";
import { leaveOutSdkDebugging, leaveOutTraces } from ${JSON.stringify(projectPath("infra/sdkDebugging.ts"))};

leaveOutSdkDebugging();

class Part extends pulumi.ComponentResource {
  constructor(name) {
    using _ = leaveOutTraces();
    super("double:x:Part", name);
    this.hasTrace = new Error().stack.includes(" at ");
  }
}

const part = new Part("part");
pulumi.log.warn("A word for people.");
export const within = part.hasTrace ? "traced" : "bare";
export const afterwards = new Error().stack.includes(" at ") ? "traced" : "bare";
`;

test("what the SDK says to be debugged is left out, and traces of its promises; what people are told is not", async () => {
  await using program = await TestProgram.create({});
  await program.write(text);
  const { exitCode, output } = await program.pulumi("preview", "--debug");
  expect(output).toContain("A word for people.");
  expect(output).not.toContain("Registering resource: t=double:x:Part");
  expect(output).toMatch(/within *: "bare"/);
  expect(output).toMatch(/afterwards *: "traced"/);
  expect(exitCode).toBe(0);
});

test("whoever debugs Pulumi gets both", async () => {
  await using program = await TestProgram.create({
    PULUMI_OPTION_DEBUG: "true",
    PULUMI_DEBUG_PROMISE_LEAKS: "true",
  });
  await program.write(text);
  const { output } = await program.pulumi("preview");
  expect(output).toContain("Registering resource: t=double:x:Part");
  expect(output).toMatch(/within *: "traced"/);
});
