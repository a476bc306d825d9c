import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type ImageType,
  imageTypes,
} from "../../infra/definitions/definition.ts";
import { expandDefinitions } from "../../infra/definitions/expand.ts";
import {
  loadDefinitions,
  loadImages,
  parseDefinitionFile,
} from "../../infra/definitions/load.ts";
import { definitionJsonSchema } from "../../infra/definitions/schema.ts";
import { UserError } from "../../infra/errors.ts";
import { projectPath } from "../../infra/projectPaths.ts";

const directory = projectPath("image-definitions");

const parts = `
releases:
  trixie:
    { version: "13", suites: { debian: [trixie], security: [] }, systemd: 257, classes: [TRIXIE] }
architectures:
  amd64: { classes: [AMD64] }
variants:
  tiny:
    description: As small as can be
    classes: [TINY]
    disk: { sizeGiB: 2 }
    bootCheck:
      { firmware: [bios], rootGrows: false, diskSizeGiB: 2, memoryMiB: 512, timeoutSeconds: 60 }
`;
const images = `
images:
  - { releases: [trixie], architectures: [amd64], variants: [tiny] }
`;

function problemOf(...texts: string[]): string {
  try {
    expandDefinitions(
      texts.map((text, index) => parseDefinitionFile(`${index}.yaml`, text)),
    );
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).message;
  }
  throw new Error("nothing was found wrong");
}

describe("the definitions of the project", () => {
  it("are Debian's own matrix: 69 images, 64 of them daily and 37 released", async () => {
    const images = await loadImages(directory);
    const all = (codename: string, architecture: string) =>
      images
        .filter(
          ({ definition }) =>
            definition.release.codename === codename &&
            definition.architecture === architecture,
        )
        .map(({ definition }) => definition.variant);
    const clouds = ["azure", "ec2", "generic", "genericcloud", "nocloud"];
    const others = ["generic", "nocloud"];
    const releases = ["bookworm", "trixie", "sid"];
    const backports = ["bookworm-backports", "trixie-backports"];
    for (const codename of [...releases, ...backports]) {
      expect(all(codename, "amd64").sort()).toEqual([...clouds, "gce"].sort());
      expect(all(codename, "arm64")).toEqual(clouds);
      expect(all(codename, "ppc64el")).toEqual(others);
      const hasRiscv64 = ["trixie", "sid"].includes(codename);
      expect(all(codename, "riscv64")).toEqual(hasRiscv64 ? others : []);
    }
    const countOf = (type: ImageType) =>
      images.filter(({ types }) => types.includes(type)).length;
    expect(images).toHaveLength(69);
    expect(imageTypes.map(countOf)).toEqual([69, 64, 37]);
  });

  it("become releases for Azure, EC2 and as generic and genericcloud, but not of sid", async () => {
    const released = (await loadImages(directory))
      .filter(({ types }) => types.includes("release"))
      .map(({ definition }) => definition);
    expect([...new Set(released.map(({ variant }) => variant))].sort()).toEqual(
      ["azure", "ec2", "generic", "genericcloud"],
    );
    expect(released.map(({ release }) => release.codename)).not.toContain(
      "sid",
    );
  });

  it("are started by the firmware that machines of their architecture have", async () => {
    const definitions = await loadDefinitions(directory);
    expect(
      Object.fromEntries(
        definitions.map(({ architecture, bootCheck }) => [
          architecture,
          bootCheck.firmware,
        ]),
      ),
    ).toEqual({
      amd64: ["bios", "uefi-secure-boot"],
      arm64: ["uefi-secure-boot"],
      ppc64el: ["open-firmware"],
      riscv64: ["u-boot"],
    });
  });

  it.each([
    ["azure", 30, "CLOUD_KERNEL", "TIME_CHRONY"],
    ["ec2", 8, "CLOUD_KERNEL", "TIME_SYSTEMD"],
    ["gce", 10, "CLOUD_KERNEL", "TIME_SYSTEMD"],
    ["generic", 3, "GENERIC_KERNEL", "TIME_SYSTEMD"],
    ["genericcloud", 3, "CLOUD_KERNEL", "TIME_SYSTEMD"],
    ["nocloud", 3, "GENERIC_KERNEL", "TIME_SYSTEMD"],
  ])(
    "have the sizes, kernels and clocks of Debian's: %s",
    async (variant, sizeGiB, kernel, clock) => {
      const own = (await loadDefinitions(directory)).filter(
        (each) => each.variant === variant,
      );
      expect(own.length).toBeGreaterThan(4);
      for (const { classes, disk, bootCheck } of own) {
        expect(disk.sizeGiB).toBe(sizeGiB);
        expect(bootCheck.diskSizeGiB).toBeGreaterThan(sizeGiB);
        expect(classes.filter((name) => /_KERNEL$|^TIME_/.test(name))).toEqual([
          kernel,
          clock,
        ]);
      }
    },
  );

  it.each([
    ["debian-12-azure-amd64", "cloud-init"],
    ["debian-12-backports-genericcloud-amd64", "cloud-init"],
    ["debian-12-nocloud-amd64", "console"],
    ["debian-13-azure-amd64", "credentials"],
    ["debian-13-nocloud-amd64", "credentials"],
    ["debian-sid-gce-amd64", "credentials"],
  ])(
    "choose the way in that systemd and variant have: %s by %s",
    async (name, report) => {
      const definitions = await loadDefinitions(directory);
      const definition = definitions.find((each) => each.name === name);
      expect(definition?.bootCheck.report).toBe(report);
    },
  );

  it("are described by the schema that editors use", async () => {
    const schema = await readFile(join(directory, "schema.json"), "utf8");
    expect(JSON.parse(schema), "run: npm run schema").toEqual(
      JSON.parse(definitionJsonSchema()),
    );
    const text = await readFile(join(directory, "debian.yaml"), "utf8");
    expect(text).toMatch(/^# yaml-language-server: \$schema=schema\.json$/m);
  });
});

describe("a definition", () => {
  it("has the classes of its release, architecture and variant, between the first and the last", () => {
    const file = parseDefinitionFile("x.yaml", parts + images);
    const [image] = expandDefinitions([file]);
    expect(image?.definition.classes).toEqual([
      "DEBIAN",
      "TRIXIE",
      "AMD64",
      "TINY",
      "LAST",
    ]);
  });

  it("may be put together from several files", () => {
    const files = [parts, images].map((text, index) =>
      parseDefinitionFile(`${index}.yaml`, text),
    );
    expect(expandDefinitions(files)).toHaveLength(1);
  });
});

describe("a file of definitions is refused", () => {
  it("with file, line and field for a field that does not exist", () => {
    const text = parts.replace("description:", "describtion:");
    const problem = problemOf(text + images);
    expect(problem).toContain(
      "0.yaml:9: variants.tiny.describtion: no such field.",
    );
    expect(problem).toContain("schema.json");
  });

  it("with the line of a value of the wrong type", () => {
    const problem = problemOf(parts.replace("sizeGiB: 2", "sizeGiB: big"));
    expect(problem).toMatch(/^0\.yaml:11: variants\.tiny\.disk\.sizeGiB: /);
  });

  it("for a version that YAML takes for a number", () => {
    expect(problemOf(parts.replace('"13"', "13"))).toContain(
      "releases.trixie.version",
    );
  });

  it("for a FAI class that could leave its directory", () => {
    expect(problemOf(parts.replace("[TINY]", "[../TINY]"))).toContain(
      "must be a FAI class",
    );
  });

  it("for an image that no firmware of its architecture is asked to start", () => {
    const text = parts.replace("amd64: {", "ppc64el: {");
    expect(problemOf(text, images.replace("amd64", "ppc64el"))).toBe(
      "1.yaml:3: lists tiny for ppc64el, whose machines have none of the firmware bios (0.yaml:13). " +
        "Add one of open-firmware there, or exclude the combination.",
    );
  });

  it("for an architecture that nobody assembles", () => {
    const problem = problemOf(parts.replace("amd64:", "vax:"));
    expect(problem).toContain("architectures");
  });

  it("for a release that no file describes, with those that exist", () => {
    const problem = problemOf(parts + images.replace("[trixie]", "[sarge]"));
    expect(problem).toBe(
      '0.yaml:16: images.releases names "sarge", which no file of image-definitions describes. Known: trixie.',
    );
  });

  it("for an image that two places list", () => {
    expect(problemOf(parts + images, images)).toBe(
      "1.yaml:3: lists debian-13-tiny-amd64, which 0.yaml:16 lists already. Take it out of one of them.",
    );
  });

  it("for a variant that two files describe", () => {
    expect(problemOf(parts, parts)).toContain(
      "1.yaml:4: releases.trixie is described in 0.yaml:4 already.",
    );
  });

  it("when it is no YAML, with the place", () => {
    expect(problemOf("images: [")).toContain("0.yaml: ");
  });
});
