import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { chooseDefinitions, parseConfig } from "../infra/config.ts";
import { loadDefinitions } from "../infra/definitions/load.ts";
import { projectDirectory } from "../infra/projectPaths.ts";
import { definitionWith } from "./definitions/fixtures.ts";

const values = {
  "cloud-images:definitions": '["debian-13-tiny-amd64"]',
  "cloud-images:store": '{"directory":"store"}',
  "cloud-images:directory": '{"path":"public"}',
};

describe("the configuration of a stack", () => {
  it("is filled in where it is silent", () => {
    expect(parseConfig("mine", values)).toEqual({
      definitions: ["debian-13-tiny-amd64"],
      store: { directory: "store" },
      directory: { path: "public" },
      retention: { versions: 2 },
      snapshots: {
        debian: "https://snapshot.debian.org/archive/debian/{timestamp}",
        security:
          "https://snapshot.debian.org/archive/debian-security/{timestamp}",
      },
    });
  });

  it("leaves other providers' keys alone", () => {
    expect(() =>
      parseConfig("mine", { ...values, "aws:region": "x" }),
    ).not.toThrow();
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      "a key that does not exist",
      { "cloud-images:retension": "{}" },
      /^Pulumi\.mine\.yaml: cloud-images:retension: no such field\.$/,
    ],
    [
      "an archive of old moments that is always the same",
      {
        "cloud-images:snapshots":
          '{"debian":"https://a/","security":"https://a/{timestamp}"}',
      },
      /^Pulumi\.mine\.yaml: cloud-images:snapshots\.debian: must have \{timestamp\}/,
    ],
    [
      "a field that does not exist",
      { "cloud-images:store": '{"directory":"a","bucket":"b"}' },
      /^Pulumi\.mine\.yaml: cloud-images:store\.bucket: no such field\.$/,
    ],
    [
      "too few versions",
      { "cloud-images:retention": '{"versions":1}' },
      /^Pulumi\.mine\.yaml: cloud-images:retention\.versions: /,
    ],
    [
      "no definition",
      { "cloud-images:definitions": "[]" },
      /^Pulumi\.mine\.yaml: cloud-images:definitions: /,
    ],
    [
      "a mirror with a password",
      {
        "cloud-images:archive":
          '{"debian":"http://me:secret@host/debian","security":"http://host/s"}',
      },
      /archive\.debian: must be an address for apt, without user name or password/,
    ],
  ])("is refused for %s", (_what, changed, message) => {
    expect(() => parseConfig("mine", { ...values, ...changed })).toThrow(
      message,
    );
  });

  it("must exist, and its absence is answered with a way to get one", () => {
    expect(() => parseConfig("mine", {})).toThrow(
      /cp Pulumi\.local\.yaml Pulumi\.mine\.yaml/,
    );
  });

  it("names definitions that exist", () => {
    const all = [definitionWith()];
    const config = parseConfig("mine", values);
    expect(chooseDefinitions("mine", config, all)).toEqual(all);
    expect(() =>
      chooseDefinitions(
        "mine",
        { ...config, definitions: ["debian-9-x"] },
        all,
      ),
    ).toThrow(/names "debian-9-x", .* Described: debian-13-tiny-amd64\.$/);
  });

  it.each(["local", "prod"])(
    "comes with the project for %s, and names what image-definitions has",
    async (stack) => {
      const text = await readFile(
        join(projectDirectory, `Pulumi.${stack}.yaml`),
        "utf8",
      );
      const values = Object.entries(parse(text).config).map(
        ([key, value]) => [key, JSON.stringify(value)] as const,
      );
      const config = parseConfig(stack, Object.fromEntries(values));
      const all = await loadDefinitions(
        join(projectDirectory, "image-definitions"),
      );
      const names = chooseDefinitions(stack, config, all).map(
        ({ name }) => name,
      );
      expect(names).toEqual(config.definitions);
    },
  );
});
