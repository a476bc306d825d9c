import { describe, expect, it } from "vitest";
import {
  imageKey,
  type KeyParts,
  keyChanges,
} from "../../infra/definitions/key.ts";
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
    ["what may fail", definitionWith({ allowFailure: true })],
    [
      "how fresh it has to be",
      definitionWith({ freshness: { everyHours: 6 } }),
    ],
    ["how old it may get", definitionWith({ alertAfterDays: 3 })],
  ])("stays with %s", (_what, definition) => {
    expect(imageKey({ ...parts, definition })).toBe(key);
  });
});

describe("why a key is another one", () => {
  it("has nothing to say of the same parts", () => {
    expect(keyChanges(parts, parts)).toEqual([]);
  });

  it("is a line for each input that differs", () => {
    const now: KeyParts = {
      definition: definitionWith({
        disk: { sizeGiB: 3 },
        classes: ["DEBIAN", "LAST"],
      }),
      configSpace: [
        { path: "files/etc/x/TINY", executable: false, sha256: "n" },
      ],
      archive: {
        suites: { trixie: "9", "trixie-security": "2" },
        mirror: { debian: "http://other/debian", security: "http://mirror/s" },
      },
      builder: "c",
    };
    expect(keyChanges(parts, now)).toEqual([
      "classes: DEBIAN, TRIXIE, AMD64, TINY, LAST, now DEBIAN, LAST.",
      "disk.sizeGiB: 2, now 3.",
      "mirror.debian: http://mirror/debian, now http://other/debian.",
      "image-definitions/fai/files/etc/x/TINY is new.",
      "image-definitions/fai/package_config/TINY is not used any more.",
      "The archive's trixie has changed.",
      "The builder (infra/image/build/) has changed.",
    ]);
  });

  it("names a file whose bytes or mode are others", () => {
    const [file] = parts.configSpace;
    for (const changed of [
      { path: "package_config/TINY", executable: false, sha256: "z" },
      {
        path: "package_config/TINY",
        executable: true,
        sha256: file?.sha256 ?? "",
      },
    ]) {
      expect(keyChanges(parts, { ...parts, configSpace: [changed] })).toEqual([
        "image-definitions/fai/package_config/TINY has changed.",
      ]);
    }
  });

  it("says so when it was not recorded what a build was made from", () => {
    const { definition, archive } = parts;
    expect(keyChanges({ definition, archive }, parts)).toEqual([
      "The config space and the builder of that time were not recorded.",
    ]);
  });

  it("is never silent when the keys differ", () => {
    for (const change of [
      { builder: "c" },
      { definition: definitionWith({ architecture: "amd64", classes: [] }) },
      { archive: { ...parts.archive, suites: {} } },
      { configSpace: [] },
    ]) {
      const now = { ...parts, ...change };
      expect(imageKey(now)).not.toBe(key);
      expect(keyChanges(parts, now)).not.toEqual([]);
    }
  });
});
