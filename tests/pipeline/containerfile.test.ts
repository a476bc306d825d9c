import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";

const run = promisify(execFile);
const path = projectPath("scripts/ci-image/Containerfile");

describe("the container that jobs run in", () => {
  let text = "";
  /** What is run in it: each RUN as one shell program. */
  let programs: readonly string[] = [];

  beforeAll(async () => {
    text = await readFile(path, "utf8");
    programs = [
      ...text.replaceAll("\\\n", "\n").matchAll(/^RUN (.*(?:\n {4}.*)*)$/gm),
    ].map(([, program = ""]) => program);
  });

  it("has programs that shellcheck finds nothing in", async () => {
    expect(programs.length).toBeGreaterThan(2);
    for (const program of programs) {
      const { stdout, exitCode } = await execa(
        "shellcheck",
        ["--shell=bash", "--exclude=SC1091,SC2153,SC2154,SC2086", "-"],
        // As SHELL has it.
        { input: `set -euo pipefail\n${program}`, reject: false },
      );
      expect(exitCode, stdout).toBe(0);
    }
  });

  it("installs what scripts/packages lists, and no second list but what only containers need", async () => {
    const { stdout } = await run("bash", [
      "-c",
      `. ${projectPath("scripts/lib/packages.sh")}; list_packages ${projectPath("scripts/packages/up.txt")}`,
    ]);
    const listed = stdout.trim().split("\n");
    expect(text).toContain("/tmp/packages/$list.txt");
    for (const name of listed) {
      expect(text, name).not.toMatch(
        new RegExp(`apt-get install.* ${name.replace("+", "\\+")}( |$)`, "m"),
      );
    }
    const [, own = ""] =
      /--no-install-recommends ([a-z0-9 -]+) "\$\{names\[@\]\}"/.exec(text) ??
      [];
    const names = [...own.split(" "), ...listed];
    const { stdout: known } = await execa("apt-cache", ["pkgnames"]);
    const all = new Set(known.split("\n"));
    expect(names.filter((name) => !all.has(name))).toEqual([]);
  });

  it("ends as a user without rights, who has a range of ids and comes after all that needs root", () => {
    expect(text).toContain(
      "builder:100000:65536 | tee -a /etc/subuid >>/etc/subgid",
    );
    const user = text.search(/^USER builder$/m);
    expect(user).toBeGreaterThan(text.search(/apt-get install/));
    expect(text.slice(user)).not.toMatch(/^USER root|apt-get|sudo/m);
  });

  it("asks for no privileges, devices or loop devices, and holds nothing of a checkout", async () => {
    expect(text).not.toMatch(/--privileged|losetup|\/dev\/loop|--device/);
    const ignored = await readFile(projectPath(".containerignore"), "utf8");
    for (const name of [".git", ".state", ".cache", "node_modules"]) {
      expect(ignored.split("\n")).toContain(name);
    }
    expect(text).toMatch(/rm -rf checkout$/m);
  });
});
