import { describe, expect, it } from "vitest";
import type { DefinitionName } from "../../infra/definitions/definition.ts";
import { imageKey, type KeyParts } from "../../infra/definitions/key.ts";
import { reachOf, reachText } from "../../infra/pipeline/reach.ts";
import {
  parseSources,
  type SourceImage,
} from "../../infra/pipeline/stackSources.ts";
import { sampleDefinition } from "../store/records.ts";

const mirror = { debian: "http://a.example", security: "http://b.example" };
const shared = {
  path: "package_config/DEBIAN",
  executable: false,
  sha256: "1",
};

function image(name: string, changes: Partial<KeyParts> = {}): SourceImage {
  const parts: KeyParts = {
    definition: { ...sampleDefinition(), name: name as DefinitionName },
    configSpace: [shared],
    archive: { suites: {}, mirror },
    builder: "0",
    ...changes,
  };
  return { parts, key: imageKey(parts) };
}

const names = (reach: ReturnType<typeof reachOf>) =>
  reach.images.map(({ definition }) => definition.name);

describe("what a change reaches", () => {
  it("is nothing where every key is the same", () => {
    const reach = reachOf([image("a"), image("b")], [image("b"), image("a")]);
    expect(reach).toEqual({ images: [], gone: [] });
    expect(reachText(reach)).toContain("reaches no image");
  });

  it("is what has another key, and why", () => {
    const file = { path: "scripts/A/10-a", executable: true, sha256: "2" };
    const reach = reachOf(
      [image("a"), image("b")],
      [image("a", { configSpace: [shared, file] }), image("b")],
    );
    expect(reach.images).toMatchObject([
      {
        definition: { name: "a" },
        changes: ["image-definitions/fai/scripts/A/10-a is new."],
      },
    ]);
  });

  it("names a shared input once with everything that it reaches", () => {
    const changed = { configSpace: [{ ...shared, sha256: "2" }] };
    const reach = reachOf(
      [image("a"), image("b"), image("c", { configSpace: [] })],
      [
        image("a", changed),
        image("b", changed),
        image("c", { configSpace: [] }),
      ],
    );
    expect(names(reach)).toEqual(["a", "b"]);
    expect(reachText(reach)).toContain(
      "image-definitions/fai/package_config/DEBIAN has changed. Reaches 2 images: a, b.",
    );
  });

  it("is what the stack did not have before, and says what goes", () => {
    const reach = reachOf(
      [image("a"), image("old")],
      [image("a"), image("new")],
    );
    expect(names(reach)).toEqual(["new"]);
    expect(reach.gone).toEqual(["old"]);
    expect(reachText(reach)).toContain("old is not built any more.");
  });

  it("is everything where the sources of before cannot be asked", () => {
    const reach = reachOf(
      undefined,
      [image("b"), image("a")],
      "They are mute.",
    );
    expect(names(reach)).toEqual(["a", "b"]);
    expect(reach.images[0]?.changes).toEqual(["They are mute."]);
  });

  it("trusts keys: where they differ with the same inputs, what a key covers has changed", () => {
    const before = { ...image("a"), key: "f".repeat(64) as SourceImage["key"] };
    const reach = reachOf([before], [image("a")]);
    expect(reach.images[0]?.changes).toEqual([
      "What a key covers has changed (infra/definitions/key.ts).",
    ]);
  });

  it("leaves what concerns checks and limits alone, as no key has it", () => {
    const definition = {
      ...image("a").parts.definition,
      build: { timeoutSeconds: 1, memoryMiB: 1 },
    };
    expect(reachOf([image("a")], [image("a", { definition })]).images).toEqual(
      [],
    );
  });
});

describe("another checkout's sources", () => {
  it("are read as they were said", () => {
    const images = [image("a")];
    expect(parseSources(JSON.stringify(images))).toEqual(images);
  });

  it.each(["", "{}", '[{"key":"1"}]', '[{"key":"1","parts":{}}]'])(
    "are refused where they are something else: %s",
    (text) => {
      expect(() => parseSources(text)).toThrow();
    },
  );
});
