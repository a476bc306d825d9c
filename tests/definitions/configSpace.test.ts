import { describe, expect, it } from "vitest";
import {
  type ConfigSpaceFile,
  classOf,
  filesOfDefinition,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import type { DefinitionName } from "../../infra/definitions/definition.ts";
import { loadDefinitions } from "../../infra/definitions/load.ts";
import { projectPath } from "../../infra/projectPaths.ts";
import { definitionWith } from "./fixtures.ts";

const file = (path: string, executable = true): ConfigSpaceFile => ({
  path,
  executable,
  sha256: "0".repeat(64),
});

describe("the class of a file", () => {
  it.each([
    ["class/DEBIAN.var", "DEBIAN"],
    ["package_config/AMD64", "AMD64"],
    ["debconf/DEBIAN", "DEBIAN"],
    ["hooks/instsoft.DEBIAN", "DEBIAN"],
    ["hooks/savelog.LAST.sh", "LAST"],
    ["scripts/CLOUD_INIT/10-ssh", "CLOUD_INIT"],
    ["files/etc/default/grub.d/20-cloud.cfg/DEBIAN", "DEBIAN"],
    ["README.md", undefined],
  ])("%s is %s", (path, owner) => {
    expect(classOf(path)).toBe(owner);
  });
});

describe("the files of a definition", () => {
  const definition = definitionWith({ classes: ["DEBIAN", "TINY"] });

  it("are those of its classes alone", () => {
    const files = [
      file("package_config/DEBIAN"),
      file("package_config/OTHER"),
      file("scripts/TINY/10-x"),
      file("README.md"),
    ];
    const chosen = filesOfDefinition(files, definition);
    expect(chosen.map(({ path }) => path)).toEqual([
      "package_config/DEBIAN",
      "scripts/TINY/10-x",
    ]);
  });

  it("must exist for each class", () => {
    expect(() =>
      filesOfDefinition([file("package_config/DEBIAN")], definition),
    ).toThrow(/debian-13-tiny-amd64 has the FAI class TINY, .* no file/);
  });

  it("must be executable where FAI would skip them", () => {
    const files = [
      file("package_config/DEBIAN", false),
      file("scripts/TINY/10-x", false),
    ];
    expect(() => filesOfDefinition(files, definition)).toThrow(
      /Run: chmod \+x image-definitions\/fai\/scripts\/TINY\/10-x$/,
    );
  });

  it("may not bring the same file by two classes", () => {
    const files = ["package_config/TINY", "files/etc/a/DEBIAN"].map((path) =>
      file(path),
    );
    expect(() =>
      filesOfDefinition([...files, file("files/etc/a/TINY")], definition),
    ).toThrow(
      /^debian-13-tiny-amd64 would get \/etc\/a from image-definitions\/fai\/files\/etc\/a\/DEBIAN and image-definitions\/fai\/files\/etc\/a\/TINY\. Give /,
    );
    const other = [...files, file("files/etc/a/OTHER"), file("files/etc/TINY")];
    expect(filesOfDefinition(other, definition)).toHaveLength(3);
  });

  it("are refused when a list of packages has none for the image's other classes", async () => {
    const configSpace = await readConfigSpace(
      projectPath("image-definitions/fai"),
    );
    const wrong = definitionWith({
      name: "debian-13-genericcloud-ppc64el" as DefinitionName,
      classes: ["DEBIAN", "PPC64EL", "CLOUD_KERNEL", "LAST"],
    });
    expect(() => filesOfDefinition(configSpace, wrong)).toThrow(
      "debian-13-genericcloud-ppc64el has the FAI class CLOUD_KERNEL, and image-definitions/fai/package_config/CLOUD_KERNEL " +
        "has packages for images with AMD64 or ARM64 alone. Exclude that combination, or add what it needs.",
    );
  });

  it("are complete for every image of the project", async () => {
    const configSpace = await readConfigSpace(
      projectPath("image-definitions/fai"),
    );
    const used = new Set(
      (await loadDefinitions(projectPath("image-definitions"))).flatMap(
        (each) => filesOfDefinition(configSpace, each).map(({ path }) => path),
      ),
    );
    const unused = configSpace.filter(({ path }) => !used.has(path));
    expect(unused.map(({ path }) => path)).toEqual(["README.md"]);
  });
});
