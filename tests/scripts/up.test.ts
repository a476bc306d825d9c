import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { describe, expect, it, onTestFinished } from "vitest";
import { exists, makeReadyCheckout, run } from "./checkout.ts";

/** A program with one resource, which takes as long to make as the file `seconds` says. */
const program = {
  "Pulumi.yaml": `name: cloud-images
main: infra/index.ts
runtime:
  name: nodejs
  options: { typescript: false }
`,
  "Pulumi.local.yaml": "",
  "infra/index.ts": `
import * as pulumi from "@pulumi/pulumi";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
const provider = {
  async create(inputs: { root: string }) {
    const { existsSync, readFileSync, writeFileSync } = await import("node:fs");
    writeFileSync(inputs.root + "/begun", "");
    const seconds = existsSync(inputs.root + "/seconds") ? Number(readFileSync(inputs.root + "/seconds", "utf8")) : 0;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return { id: "made", outs: inputs };
  },
};
class Thing extends pulumi.dynamic.Resource {
  constructor() {
    super(provider as never, "thing", { root: process.cwd().replace(/\\/infra$/, "") });
  }
}
new Thing();
export const summary = "image: the image\\nindex: the index";
`,
};

async function waitFor(path: string): Promise<void> {
  while (!(await exists(path))) {
    await sleep(50);
  }
}

describe("scripts/up", () => {
  it("shows what changes, makes the stack what it should be, and ends with its summary", async () => {
    const checkout = await makeReadyCheckout(program);
    const first = await run(join(checkout, "scripts/up"), [], "/");
    expect(first.all).toContain("Previewing update (local)");
    expect(first.all).toContain("2 created");
    expect(first.stdout).toMatch(/\nimage: the image\nindex: the index$/);
    expect(first.exitCode).toBe(0);

    const again = await run(
      join(checkout, "scripts/pulumi"),
      ["preview", "--expect-no-changes"],
      "/",
    );
    expect(again.all).toContain("2 unchanged");
    expect(again.exitCode).toBe(0);
  });

  it("passes flags on, and its exit code is the engine's", async () => {
    const checkout = await makeReadyCheckout(program);
    const { all, exitCode } = await run(
      "scripts/up",
      ["local", "--no-such-flag"],
      checkout,
    );
    expect(all).toContain("unknown flag: --no-such-flag");
    expect(exitCode).not.toBe(0);
  });

  it("goes on, without a question, after the engine was killed while it made something", async () => {
    const checkout = await makeReadyCheckout({ ...program, seconds: "60" });
    const killed = spawn("scripts/up", {
      cwd: checkout,
      stdio: "ignore",
      detached: true,
    });
    onTestFinished(() => void killed.kill("SIGKILL"));
    await waitFor(join(checkout, "begun"));
    const recorded = (
      await readFile(join(checkout, ".state/locks/local"), "utf8")
    ).trim();
    const { stdout: engine } = await execa("pgrep", [
      "--exact",
      "--parent",
      recorded,
      "pulumi",
    ]);

    const second = await run("scripts/up", [], checkout);
    expect(second.all).toContain(
      `Stack local is being changed by another run (process ${recorded})`,
    );
    expect(second.exitCode).toBe(1);

    const ended = new Promise((resolve) => killed.once("exit", resolve));
    process.kill(Number(engine), "SIGKILL");
    expect(await ended).toBe(137);
    await execa("rm", [join(checkout, "seconds")]);
    const third = await run("scripts/up", [], checkout);
    expect(third.all).toContain("removing the lock that it left");
    expect(third.all).toContain("Clearing what a killed run had left pending");
    expect(third.exitCode).toBe(0);

    const state = ".state/backend/.pulumi/stacks/cloud-images/local.json";
    expect(await readFile(join(checkout, state), "utf8")).not.toContain(
      "pending_operations",
    );
  });

  it("says which file a stack without configuration needs", async () => {
    const checkout = await makeReadyCheckout(program);
    const { all, exitCode } = await run("scripts/up", ["mine"], checkout);
    expect(all).toContain("Pulumi.mine.yaml does not exist");
    expect(exitCode).toBe(1);
    expect(await exists(join(checkout, ".state"))).toBe(false);
  });
});
