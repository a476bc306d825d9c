import { expect, it } from "vitest";
import type { ConfigSpaceFile } from "../../../infra/definitions/configSpace.ts";
import type { Definition } from "../../../infra/definitions/definition.ts";
import { layersOf } from "../../../infra/image/build/layers.ts";
import { definitionWith } from "../../definitions/fixtures.ts";

const archive = {
  mirror: {
    debian: "http://mirror/debian",
    security: "http://mirror/security",
  },
  suites: { trixie: "1" },
  epochSeconds: 1_795_230_000,
};

const files = [
  "package_config/DEBIAN",
  "package_config/CLOUD",
  "package_config/TINY",
  "files/etc/apt/preferences.d/pin/CLOUD",
  "files/etc/motd/DEBIAN",
  "scripts/DEBIAN/10-files",
].map(file);

function file(path: string): ConfigSpaceFile {
  return { path, executable: false, sha256: `${path} before` };
}

const tiny = definitionWith({
  classes: ["DEBIAN", "TRIXIE", "AMD64", "CLOUD", "TINY", "LAST"],
  layers: [3, 4],
});

function namesOf({
  definition = tiny,
  changed = "",
  suites = archive.suites,
  builder = "one",
}: {
  definition?: Definition;
  changed?: string;
  suites?: Record<string, string>;
  builder?: string;
}): readonly string[] {
  const configSpace = files.map((each) =>
    each.path === changed ? { ...each, sha256: "after" } : each,
  );
  return layersOf(definition, { ...archive, suites }, configSpace, builder).map(
    ({ name }) => name,
  );
}

it("an image has a minimal Debian as its lowest layer, and one for each number", () => {
  const layers = layersOf(tiny, archive, files, "one");
  expect(layers.map(({ classes }) => classes)).toEqual([
    [],
    ["DEBIAN", "TRIXIE", "AMD64"],
    ["DEBIAN", "TRIXIE", "AMD64", "CLOUD"],
  ]);
  expect(layers.map(({ name }) => name.replace(/-[0-9a-f]{16}$/, ""))).toEqual([
    "trixie-amd64-minimal",
    "trixie-amd64-amd64",
    "trixie-amd64-cloud",
  ]);
});

it("images with the same first classes share layers", () => {
  const other = definitionWith({
    classes: ["DEBIAN", "TRIXIE", "AMD64", "CLOUD", "OTHER", "LAST"],
    layers: [3, 4],
    disk: { sizeGiB: 30 },
  });
  expect(namesOf({ definition: other })).toEqual(namesOf({}));
});

it.each<[string, Parameters<typeof namesOf>[0], number]>([
  ["packages of the first classes", { changed: "package_config/DEBIAN" }, 1],
  ["packages of a later class", { changed: "package_config/CLOUD" }, 2],
  ["what apt reads", { changed: "files/etc/apt/preferences.d/pin/CLOUD" }, 2],
  ["packages of no layer's class", { changed: "package_config/TINY" }, 3],
  [
    "files that come after all packages",
    { changed: "files/etc/motd/DEBIAN" },
    3,
  ],
  ["a script", { changed: "scripts/DEBIAN/10-files" }, 3],
  ["the archive", { suites: { trixie: "2" } }, 0],
  ["the builder", { builder: "two" }, 0],
])(
  "%s: what changes renames a layer and those above it",
  (_, change, lowest) => {
    const before = namesOf({});
    const after = namesOf(change);
    expect(after.map((name, index) => name === before[index])).toEqual(
      before.map((_, index) => index < lowest),
    );
  },
);
