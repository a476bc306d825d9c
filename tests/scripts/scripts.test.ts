import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { exists, makeCheckout, makePath, project, run } from "./checkout.ts";

const commands = ["bench", "ci", "images", "pulumi", "test", "up"];

describe.each(commands)("scripts/%s", (name) => {
  it("explains itself, and does nothing else, when it is asked for help", async () => {
    const checkout = await makeCheckout();
    const { stdout, exitCode } = await run(
      join(checkout, "scripts", name),
      ["--help"],
      "/",
      { PATH: await makePath() },
    );
    expect(stdout).toMatch(new RegExp(`^Usage: scripts/${name}\\b`));
    expect(exitCode).toBe(0);
    expect(await exists(join(checkout, ".tools"))).toBe(false);
  });
});

describe("the scripts", () => {
  it("are clean under shellcheck", async () => {
    const pieces = (await readdir(join(project, "scripts/lib"))).filter(
      (name) => name.endsWith(".sh"),
    );
    const files = [
      ...commands,
      ...pieces.map((name) => `lib/${name}`),
      ...["ci-image/system", "ci-image/tools"],
    ].map((name) => `scripts/${name}`);
    await execa("shellcheck", ["--external-sources", ...files, ".ci/run"], {
      cwd: project,
    });
  });
});
