import { describe, expect, it } from "vitest";
import { makeReadyCheckout, run } from "./checkout.ts";

const sample = (body: string) =>
  `import { expect, it } from "vitest";\n\n${body}\n`;
const files = {
  "vitest.config.ts": `export default { test: { include: ["tests/**/*.test.ts"] } };\n`,
  "tests/good.test.ts": sample(`it("passes", () => expect(1).toBe(1));`),
  "tests/mixed.test.ts": sample(`it("passes", () => expect(1).toBe(1));
it("fails", () => expect(1).toBe(2));
it.skip("is skipped", () => expect(1).toBe(1));`),
  "tests/unloadable.test.ts": `import "./nothing.ts";\n`,
};

async function runTests(
  patterns: readonly string[],
  changes: Readonly<Record<string, string>> = {},
) {
  const { all, exitCode } = await run(
    "scripts/test",
    patterns,
    await makeReadyCheckout({ ...files, ...changes }),
  );
  return { all, exitCode, lastLine: all.trimEnd().split("\n").at(-1) };
}

describe("scripts/test", () => {
  it("ends with a line that counts the tests, and fails if one did", async () => {
    const { lastLine, exitCode } = await runTests(["mixed"]);
    expect(lastLine).toBe("1 passed, 1 failed, 1 skipped");
    expect(exitCode).toBe(1);
  });

  it("runs the files that the patterns name, and succeeds if their tests do", async () => {
    const { lastLine, exitCode } = await runTests(["tests/good"]);
    expect(lastLine).toBe("1 passed, 0 failed");
    expect(exitCode).toBe(0);
  });

  it("counts a file that cannot be loaded as a failed test", async () => {
    const { lastLine, exitCode } = await runTests(["good", "unloadable"]);
    expect(lastLine).toBe("1 passed, 1 failed");
    expect(exitCode).toBe(1);
  });

  it("names a pattern that matches no file, and runs nothing", async () => {
    const { all, exitCode } = await runTests(["good", "nowhere"]);
    expect(all).toBe(
      'Error: No test file under tests/ has "nowhere" in its path.',
    );
    expect(exitCode).toBe(1);
  });

  it("checks types and style as well without patterns, and still counts the tests when they fail", async () => {
    const { all, lastLine, exitCode } = await runTests([], {
      "tests/mixed.test.ts": sample(
        "const number: number = 'text';\nit.skip('is skipped', () => number);",
      ),
      "tests/unloadable.test.ts": sample(
        `it("passes", () => expect(1).toBe(1));`,
      ),
    });
    expect(all).toContain("error TS2322");
    expect(all).toContain("The type check failed.\nThe style check failed.\n");
    expect(lastLine).toBe("2 passed, 0 failed, 1 skipped");
    expect(exitCode).toBe(1);
  });
});
