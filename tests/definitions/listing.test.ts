import { describe, expect, it } from "vitest";
import { imageDetails, imageTable } from "../../infra/definitions/listing.ts";
import { imageWith } from "./fixtures.ts";

describe("images as text", () => {
  it("stand in columns", () => {
    const image = imageWith({}, ["dev", "daily"]);
    expect(imageTable([image])).toBe(
      [
        "NAME                  RELEASE  ARCHITECTURE  VARIANT  TYPES       GIB  FIRMWARE",
        "debian-13-tiny-amd64  trixie   amd64         tiny     dev, daily  2    bios",
      ].join("\n"),
    );
  });

  it("have headings even when there is none", () => {
    expect(imageTable([])).toMatch(/^NAME +RELEASE/);
  });

  it("say of each field where it is from, or what it follows from", () => {
    const lines = imageDetails({
      ...imageWith({}, ["daily"]),
      places: new Map([
        ["variant", "own.yaml:9"],
        ["disk.sizeGiB", "own.yaml:7"],
        ["classes[1]", "base.yaml:3"],
      ]),
    })
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(lines).toContainEqual(["disk.sizeGiB", "2", "own.yaml:7"]);
    expect(lines).toContainEqual([
      "classes[0]",
      "DEBIAN",
      "every image has it",
    ]);
    expect(lines).toContainEqual(["classes[1]", "TRIXIE", "base.yaml:3"]);
    expect(lines).toContainEqual(["types", "daily", "own.yaml:9"]);
    expect(lines).toContainEqual(["build.timeoutSeconds", "600", "default"]);
    expect(lines).toContainEqual([
      "release.suites.debian",
      "trixie, trixie-updates",
      "default",
    ]);
    expect(lines).toContainEqual([
      "name",
      "debian-13-tiny-amd64",
      "release.version, variant and architecture",
    ]);
  });
});
