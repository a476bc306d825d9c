import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { projectPath } from "../infra/projectPaths.ts";

/** Runs a program of a few lines that watches an output for its end. */
function run(end: string) {
  const program = `
    const pulumi = await import("@pulumi/pulumi");
    const { failUnlessReached } = await import("./infra/completion.ts");
    failUnlessReached(${end});
  `;
  return execa(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: projectPath("."),
    reject: false,
  });
}

describe("a program", () => {
  it("ends well when everything was declared", async () => {
    const { exitCode, stderr } = await run("pulumi.output(Promise.resolve(1))");
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  });

  it("ends with an error when it is cut off before", async () => {
    const { exitCode, stderr } = await run(
      "pulumi.output(new Promise(() => {}))",
    );
    expect(stderr).toContain("ended before it had declared everything");
    expect(exitCode).toBe(1);
  });

  it("keeps the exit code of another failure", async () => {
    const { exitCode } = await run(
      "pulumi.output(new Promise(() => {}))); process.exit(32",
    );
    expect(exitCode).toBe(32);
  });
});
