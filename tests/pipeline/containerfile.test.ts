/** What can be said of the container of jobs without making it; tests/nightly/container.test.ts makes it. */

import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { projectPath } from "../../infra/projectPaths.ts";

describe("the container that jobs run in", () => {
  const read = (name: string) => readFile(projectPath(name), "utf8");
  let recipe = "";
  let system = "";

  beforeAll(async () => {
    recipe = await read("scripts/ci-image/Containerfile");
    system = await read("scripts/ci-image/system");
  });

  it("runs its steps by programs: images of the kind that podman makes know no SHELL", () => {
    const steps = [...recipe.matchAll(/^RUN (.*)$/gm)].map(([, step]) => step);
    expect(steps).toEqual([
      "/setup/scripts/ci-image/system && rm -r /setup",
      "checkout/scripts/ci-image/tools && rm -r checkout",
    ]);
    expect(recipe).not.toMatch(/^SHELL|\\$/m);
  });

  it("installs what scripts/packages lists, and no second list but what only containers need", async () => {
    const [, own = ""] =
      /--no-install-recommends ([a-z0-9 -]+) "\$\{names\[@\]\}"/.exec(system) ??
      [];
    const names = own.split(" ");
    expect(names.length).toBeGreaterThan(0);
    const listed = await read("scripts/packages/up.txt");
    for (const name of names) {
      expect(listed).not.toMatch(new RegExp(`^${name}\\b`, "m"));
    }
    const { stdout: known } = await execa("apt-cache", ["pkgnames"]);
    const all = new Set(known.split("\n"));
    expect(names.filter((name) => !all.has(name))).toEqual([]);
  });

  it("ends as a user without rights, who has a range of ids and comes after all that needs root", () => {
    expect(system).toContain(
      "builder:100000:65536 | tee -a /etc/subuid >>/etc/subgid",
    );
    const user = recipe.search(/^USER builder$/m);
    expect(user).toBeGreaterThan(recipe.indexOf("ci-image/system"));
    expect(recipe.slice(user)).not.toMatch(/^USER root|sudo/m);
  });

  it("asks for no privileges, devices or loop devices, and holds nothing of a checkout", async () => {
    expect(recipe + system).not.toMatch(
      /--privileged|losetup|\/dev\/loop|--device/,
    );
    const ignored = (await read(".containerignore")).split("\n");
    for (const name of [".git", ".state", ".cache", "node_modules"]) {
      expect(ignored).toContain(name);
    }
  });
});
