import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { loadImages } from "../../infra/definitions/load.ts";
import { projectPath } from "../../infra/projectPaths.ts";

/** The program behind scripts/images, without the set-up. */
function images(...args: string[]) {
  return execa(
    process.execPath,
    [projectPath("scripts/lib/images.ts"), ...args],
    {
      reject: false,
    },
  );
}

describe("scripts/images", () => {
  it("lists every image, for people and for programs", async () => {
    const all = await loadImages(projectPath("image-definitions"));
    const definitions = all.map(({ definition, types }) => ({
      ...definition,
      types,
    }));
    const { stdout: json } = await images("list", "--json");
    expect(JSON.parse(json)).toEqual(definitions);
    const { stdout: text, exitCode } = await images("list");
    expect(
      text
        .split("\n")
        .slice(1)
        .map((line) => line.split(" ")[0]),
    ).toEqual(definitions.map(({ name }) => name));
    expect(exitCode).toBe(0);
  });

  it("shows what one image is, and where that was said", async () => {
    const { stdout } = await images("show", "debian-13-nocloud-amd64");
    expect(stdout).toMatch(
      /^disk\.sizeGiB +3 +image-definitions\/debian\.yaml:\d+$/m,
    );
    const { stdout: json } = await images(
      "show",
      "debian-13-nocloud-amd64",
      "--json",
    );
    expect(JSON.parse(json)).toMatchObject({
      definition: { name: "debian-13-nocloud-amd64", disk: { sizeGiB: 3 } },
      places: { "disk.sizeGiB": expect.stringMatching(/debian\.yaml:\d+$/) },
    });
  });

  it("lists and shows images as they are of a type", async () => {
    const { stdout: list } = await images("list", "--type", "release");
    expect(list).toMatch(/^debian-13-ec2-amd64 .*dev, daily, release/m);
    expect(list).not.toContain("debian-sid-");
    const { stdout } = await images(
      ...["show", "debian-13-ec2-amd64", "--type", "dev"],
    );
    expect(stdout).toMatch(
      /^classes\[\d+\] +ROOT_LOGIN +image-definitions\/debian\.yaml:\d+$/m,
    );
  });

  it.each<[string[], RegExp]>([
    [
      ["list", "--type", "nightly"],
      /There is no type "nightly", but dev, daily, release\. Run /,
    ],
    [
      ["show", "debian-1-x"],
      /describes no "debian-1-x"\. scripts\/images list/,
    ],
    [["shw"], /"shw" is none of its commands\. Run scripts\/images --help\./],
    [["list", "--jsn"], /'--jsn'.*Run scripts\/images --help\./s],
  ])("refuses %j with one sentence", async (args, message) => {
    const { stderr, stdout, exitCode } = await images(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("    at ");
    expect(stdout).toBe("");
    expect(exitCode).toBe(1);
  });
});
