import { describe, expect, it } from "vitest";
import { imageKey, type KeyParts } from "../../infra/definitions/key.ts";
import { definitionWith } from "./fixtures.ts";

const parts: KeyParts = {
  definition: definitionWith(),
  configSpace: [
    { path: "package_config/TINY", executable: false, sha256: "a" },
  ],
  archive: {
    suites: { trixie: "1", "trixie-security": "2" },
    mirror: { debian: "http://mirror/debian", security: "http://mirror/s" },
  },
  builder: "b",
};
const key = imageKey(parts);

describe("the image key", () => {
  it("is 64 hex digits", () => {
    expect(key).toMatch(/^[0-9a-f]{64}$/);
  });

  it("does not depend on the order of properties", () => {
    const suites = { "trixie-security": "2", trixie: "1" };
    expect(imageKey({ ...parts, archive: { ...parts.archive, suites } })).toBe(
      key,
    );
  });

  it.each<[string, Partial<KeyParts>]>([
    ["a class", { definition: definitionWith({ classes: ["DEBIAN"] }) }],
    [
      "the disk's size",
      { definition: definitionWith({ disk: { sizeGiB: 3 } }) },
    ],
    [
      "a file of the config space",
      {
        configSpace: [
          { path: "package_config/TINY", executable: false, sha256: "c" },
        ],
      },
    ],
    [
      "a file's mode",
      {
        configSpace: [
          { path: "package_config/TINY", executable: true, sha256: "a" },
        ],
      },
    ],
    [
      "a suite of the archive",
      {
        archive: {
          ...parts.archive,
          suites: { trixie: "9", "trixie-security": "2" },
        },
      },
    ],
    [
      "the mirror",
      {
        archive: {
          ...parts.archive,
          mirror: {
            debian: "http://other/debian",
            security: "http://mirror/s",
          },
        },
      },
    ],
    ["the builder", { builder: "c" }],
  ])("changes with %s", (_what, changed) => {
    expect(imageKey({ ...parts, ...changed })).not.toBe(key);
  });

  it.each([
    ["the description", definitionWith({ description: "Other words" })],
    [
      "limits of the build",
      definitionWith({ build: { timeoutSeconds: 1, memoryMiB: 1 } }),
    ],
    [
      "the boot check",
      definitionWith({
        bootCheck: { ...definitionWith().bootCheck, timeoutSeconds: 1 },
      }),
    ],
  ])("stays with %s", (_what, definition) => {
    expect(imageKey({ ...parts, definition })).toBe(key);
  });
});
