import { describe, expect, it } from "vitest";
import type {
  ImageKey,
  ImageVersion,
} from "../infra/definitions/definition.ts";
import { explanationText } from "../infra/explanation.ts";
import { definitionWith } from "./definitions/fixtures.ts";

const { name } = definitionWith();
const key = "a".repeat(64) as ImageKey;
const newestBuild = {
  key: "b".repeat(64) as ImageKey,
  version: "20261121-0800" as ImageVersion,
  builtAt: "2026-11-21T08:00:00.000Z",
};

describe("an explanation", () => {
  it("says that there is no build yet", () => {
    expect(explanationText({ name, key, changes: [] })).toBe(
      `${name} has the key aaaaaaaaaaaa. No build of it is in the store: it would be built.`,
    );
  });

  it("says that nothing would be built", () => {
    const same = { ...newestBuild, key };
    expect(explanationText({ name, key, newestBuild: same, changes: [] })).toBe(
      `${name} has the key aaaaaaaaaaaa. Version 20261121-0800 was built from it: nothing would be built.`,
    );
  });

  it.each([
    ["packages", "every package of the image is the same"],
    [
      "hours",
      "version 20261121-0800 was built at 2026-11-21T08:00:00.000Z, too recently for another one (freshness.everyHours)",
    ],
  ] as const)("says why a build stays: %s", (kept, why) => {
    const same = { ...newestBuild, key };
    const changes = ["The archive's trixie has changed."];
    expect(
      explanationText({ name, key, newestBuild: same, changes, kept }),
    ).toBe(
      `${name} has the key aaaaaaaaaaaa. Version 20261121-0800 was built from it. The archive has moved on since, but ${why}: nothing would be built.`,
    );
  });

  it("lists what is different", () => {
    const changes = [
      "disk.sizeGiB: 2, now 3.",
      "The archive's trixie has changed.",
    ];
    expect(explanationText({ name, key, newestBuild, changes })).toBe(
      `${name} has the key aaaaaaaaaaaa. The newest build, version 20261121-0800, was made from bbbbbbbbbbbb. What is different:
  disk.sizeGiB: 2, now 3.
  The archive's trixie has changed.`,
    );
  });
});
