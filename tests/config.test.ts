import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chooseDefinitions, parseConfig } from "../infra/config.ts";
import type {
  DefinitionName,
  ImageType,
} from "../infra/definitions/definition.ts";
import { loadImages } from "../infra/definitions/load.ts";
import { projectDirectory } from "../infra/projectPaths.ts";
import { readStackConfig } from "../infra/stackFile.ts";
import { imageWith } from "./definitions/fixtures.ts";

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
      directory: { path: "public", formats: ["tar.zst", "qcow2"] },
      retention: { versions: 2 },
      type: "daily",
      uploads: { atOnce: 8 },
      snapshots: {
        debian: "https://snapshot.debian.org/archive/debian/{timestamp}",
        security:
          "https://snapshot.debian.org/archive/debian-security/{timestamp}",
      },
    });
  });

  it("has each format once, in whatever order it is written", () => {
    const directory = '{"path":"public","formats":["vhd","qcow2","vhd"]}';
    const config = parseConfig("mine", {
      ...values,
      "cloud-images:directory": directory,
    });
    expect(config.directory?.formats).toEqual(["qcow2", "vhd"]);
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
      "a format that does not exist",
      {
        "cloud-images:directory": '{"path":"public","formats":["qcow2","vdi"]}',
      },
      /^Pulumi\.mine\.yaml: cloud-images:directory\.formats\[1\]: must be one of tar\.zst, qcow2, tar\.xz, tar\.gz, vmdk, vhd, root\.tar\.zst, oci\.tar\.$/,
    ],
    [
      "no format",
      { "cloud-images:directory": '{"path":"public","formats":[]}' },
      /^Pulumi\.mine\.yaml: cloud-images:directory\.formats: /,
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
      "an image that no shell would take for a name",
      { "cloud-images:definitions": '["debian-13-$(reboot)-amd64"]' },
      /cloud-images:definitions\[0\]: must be the name of an image, in which \* stands for any characters\.$/,
    ],
    [
      "a type that does not exist",
      { "cloud-images:type": "nightly" },
      /^Pulumi\.mine\.yaml: cloud-images:type: /,
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

  const image = (variant: string, types?: readonly ImageType[]) =>
    imageWith(
      { name: `debian-13-${variant}-amd64` as DefinitionName, variant },
      types,
    );
  const all = [image("a"), image("b", ["dev", "daily"]), image("c", ["dev"])];
  const chosen = (definitions: readonly string[], type: ImageType = "daily") =>
    chooseDefinitions(
      "mine",
      { ...parseConfig("mine", values), definitions: [...definitions], type },
      all,
    ).map(({ variant }) => variant);

  it("names images in its order, or by patterns, and each of them once", () => {
    expect(chosen(["debian-13-b-amd64", "debian-13-a-amd64"])).toEqual([
      "b",
      "a",
    ]);
    expect(chosen(["debian-13-b-amd64", "debian-*"])).toEqual(["b", "a"]);
    expect(chosen(["*-amd64"], "dev")).toEqual(["a", "b", "c"]);
    expect(chosen(["debian-13-*-amd64"], "release")).toEqual(["a"]);
  });

  it("is refused for a name or a pattern that no image has", () => {
    for (const entry of ["debian-9-x", "debian-9-*", "debian-13-a"]) {
      expect(() => chosen(["debian-13-a-amd64", entry])).toThrow(
        `Pulumi.mine.yaml: cloud-images:definitions names "${entry}", which image-definitions does not describe. Described: debian-13-a-amd64, `,
      );
    }
  });

  it("is refused for images that are not of the stack's type", () => {
    expect(() => chosen(["debian-13-c-*"], "release")).toThrow(
      /names "debian-13-c-\*", and image-definitions has that as dev, not as release\. Take it out, /,
    );
  });

  it.each(["local", "prod"])(
    "comes with the project for %s, and names what image-definitions has",
    async (stack) => {
      const config = await readStackConfig(stack);
      const all = await loadImages(
        join(projectDirectory, "image-definitions"),
        config.type,
      );
      const chosen = chooseDefinitions(stack, config, all);
      expect(chosen.map(({ name }) => name).sort()).toEqual(
        stack === "local"
          ? ["debian-13-genericcloud-amd64"]
          : all
              .filter(({ types }) => types.includes("daily"))
              .map(({ definition }) => definition.name)
              .filter((name) => /^debian-13-.*-(amd64|arm64)$/.test(name))
              .sort(),
      );
    },
  );
});
