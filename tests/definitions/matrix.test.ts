/** What entries of the matrix take from each other, which combinations there are, and where each value was said. */

import { describe, expect, it } from "vitest";
import type { ImageType } from "../../infra/definitions/definition.ts";
import {
  type ExpandedImage,
  expandDefinitions,
} from "../../infra/definitions/expand.ts";
import { parseDefinitionFile } from "../../infra/definitions/load.ts";

const base = `releases:
  trixie:
    version: "13"
    suites: { debian: [trixie, trixie-updates], security: [trixie-security] }
    systemd: 257
    classes: [TRIXIE]
architectures:
  amd64: { classes: [AMD64] }
variants:
  cloud:
    description: For clouds
    classes: [CLOUD]
    disk: { sizeGiB: 3 }
    bootCheck:
      firmware: [bios, uefi]
      rootGrows: true
      diskSizeGiB: 6
      memoryMiB: 1024
      timeoutSeconds: 300
`;

/** A file beside the one above. */
const own = `variants:
  worker:
    extends: cloud
    description: For our jobs
    classes: [WORKER]
    bootCheck:
      memoryMiB: 2048
images:
  - releases: [trixie]
    architectures: [amd64]
    variants: [worker]
`;

function expand(...texts: string[]): readonly ExpandedImage[] {
  return expandDefinitions(
    texts.map((text, index) =>
      parseDefinitionFile(`${["base", "own"][index]}.yaml`, text),
    ),
  );
}

describe("a variant of somebody's own", () => {
  it("has what it does not say itself from the one it extends, and its classes after those", () => {
    const [image] = expand(base, own);
    expect(image?.definition).toMatchObject({
      name: "debian-13-worker-amd64",
      description: "For our jobs",
      classes: ["DEBIAN", "TRIXIE", "AMD64", "CLOUD", "WORKER", "LAST"],
      disk: { sizeGiB: 3 },
      build: { timeoutSeconds: 1800, memoryMiB: 3072 },
      bootCheck: { firmware: ["bios", "uefi"], memoryMiB: 2048 },
    });
  });

  it("leaves the one it extends as it was", () => {
    const both = own.replace("[worker]", "[cloud, worker]");
    const [cloud] = expand(base, both);
    expect(cloud?.definition).toMatchObject({
      name: "debian-13-cloud-amd64",
      classes: ["DEBIAN", "TRIXIE", "AMD64", "CLOUD", "LAST"],
      bootCheck: { memoryMiB: 1024 },
    });
  });

  it("says of every value where it comes from", () => {
    const [image] = expand(base, own);
    expect(Object.fromEntries(image?.places ?? [])).toEqual({
      "release.codename": "own.yaml:9",
      architecture: "own.yaml:9",
      variant: "own.yaml:9",
      "release.version": "base.yaml:3",
      "release.suites.debian": "base.yaml:4",
      "release.suites.security": "base.yaml:4",
      "release.systemd": "base.yaml:5",
      "classes[1]": "base.yaml:6",
      "classes[2]": "base.yaml:8",
      "classes[3]": "base.yaml:12",
      "classes[4]": "own.yaml:5",
      description: "own.yaml:4",
      "disk.sizeGiB": "base.yaml:13",
      "bootCheck.firmware": "base.yaml:15",
      "bootCheck.rootGrows": "base.yaml:16",
      "bootCheck.diskSizeGiB": "base.yaml:17",
      "bootCheck.memoryMiB": "own.yaml:7",
      "bootCheck.timeoutSeconds": "base.yaml:19",
    });
  });

  it("may be extended in turn", () => {
    const text = own
      .replace(
        "images:",
        "  large:\n    extends: worker\n    disk: { sizeGiB: 5 }\nimages:",
      )
      .replace("[worker]", "[large]");
    expect(expand(base, text)[0]?.definition).toMatchObject({
      description: "For our jobs",
      disk: { sizeGiB: 5 },
      bootCheck: { memoryMiB: 2048 },
    });
  });
});

describe("combinations", () => {
  const more = base
    .replace(
      "architectures:",
      "  sid:\n    extends: trixie\n    version: sid\n    suites: { debian: [sid], security: [] }\narchitectures:",
    )
    .replace("variants:", "variants:\n  plain:\n    extends: cloud");
  const group = (exclude: string) =>
    `images:\n  - releases: [trixie, sid]\n    architectures: [amd64]\n    variants: [cloud, plain]\n    exclude:\n${exclude}`;
  const names = (text: string) =>
    expand(more, text).map(({ definition }) => definition.name);

  it("are all of them, sorted by name, but for those that a rule leaves out", () => {
    expect(
      names(group("      - { releases: [sid], variants: [plain] }\n")),
    ).toEqual([
      "debian-13-cloud-amd64",
      "debian-13-plain-amd64",
      "debian-sid-cloud-amd64",
    ]);
    expect(names(group("      - { variants: [plain] }\n"))).toEqual([
      "debian-13-cloud-amd64",
      "debian-sid-cloud-amd64",
    ]);
  });

  it("draw from the suites of their release", () => {
    const images = expand(more, group("      - { releases: [trixie] }\n"));
    expect(images[0]?.definition.release).toEqual({
      codename: "sid",
      version: "sid",
      suites: { debian: ["sid"], security: [] },
    });
  });

  it("are refused with a rule that leaves nothing out", () => {
    expect(() =>
      names(group("      - { releases: [sid], variants: [azure] }\n")),
    ).toThrow(
      /^own\.yaml:2: exclude\[0\] leaves nothing out\. Correct its names, or remove it\.$/,
    );
  });

  it("are refused with a rule that leaves everything out", () => {
    expect(() => names(group("      - {}\n"))).toThrow(
      /own\.yaml:6: images\[0\]\.exclude\[0\]: must name releases, architectures, variants or types\./,
    );
  });
});

describe("types", () => {
  const withTypes = base.replace(
    "variants:",
    "types:\n  dev: { classes: [ROOT, CLOUD] }\nvariants:",
  );
  const expandAs = (text: string, type?: ImageType) =>
    expandDefinitions(
      [withTypes, text].map((each, index) =>
        parseDefinitionFile(`${["base", "own"][index]}.yaml`, each),
      ),
      type,
    );

  it("are all of them where a group names none", () => {
    expect(expandAs(own)[0]?.types).toEqual(["dev", "daily", "release"]);
  });

  it("are those of the group, less those that a rule leaves out, in a fixed order", () => {
    const group = `${own}    types: [release, daily]\n`;
    expect(expandAs(group)[0]?.types).toEqual(["daily", "release"]);
    const rule = "    exclude: [{ types: [daily], variants: [worker] }]\n";
    expect(expandAs(group + rule)[0]?.types).toEqual(["release"]);
  });

  it("make no image where a rule leaves out the last one", () => {
    const group = `${own}    types: [daily]\n    exclude: [{ types: [daily] }]\n`;
    expect(expandAs(group)).toEqual([]);
  });

  it("give an image their classes, once each, and say where from", () => {
    const [image] = expandAs(own, "dev");
    const classes = ["TRIXIE", "AMD64", "CLOUD", "WORKER", "ROOT"];
    expect(image?.definition.classes).toEqual(["DEBIAN", ...classes, "LAST"]);
    expect(image?.places.get("classes[5]")).toBe("base.yaml:10");
  });

  it("without classes leave an image what it is", () => {
    const images = [undefined, "daily", "release"] as const;
    for (const type of images) {
      expect(expandAs(own, type)).toEqual(expandAs(own));
    }
  });

  it("are refused when nobody knows them", () => {
    expect(() => expandAs(`${own}    types: [nightly]\n`)).toThrow(
      /^own\.yaml:\d+: images\[0\]\.types\[0\]: /,
    );
  });
});

describe("an entry is refused", () => {
  it("when it extends itself, by whatever detour", () => {
    const text = own.replace(
      "variants:\n",
      "variants:\n  a: { extends: b }\n  b: { extends: c }\n  c: { extends: a }\n",
    );
    expect(() => expand(base, text)).toThrow(
      /^own\.yaml:4: variants\.a extends b extends c extends a, which never ends\. Take one "extends" out\.$/,
    );
  });

  it("when it extends what nobody describes", () => {
    expect(() =>
      expand(base, own.replace("extends: cloud", "extends: clod")),
    ).toThrow(
      /^own\.yaml:3: variants\.worker extends "clod", which no file of image-definitions describes\. Known: cloud\.$/,
    );
  });

  it("when a field is missing even with what it inherits", () => {
    expect(() =>
      expand(base.replace("    disk: { sizeGiB: 3 }\n", ""), own),
    ).toThrow(/^base\.yaml:11: variants\.cloud\.disk: /);
  });

  it("when its boot check's disk is too small for it, or for its growth to show", () => {
    const large = own.replace(
      "    bootCheck:\n",
      "    disk: { sizeGiB: 6 }\n    bootCheck:\n",
    );
    expect(() => expand(base, large)).toThrow(
      /^base\.yaml:17: variants\.worker\.bootCheck\.diskSizeGiB is 6, and with disk\.sizeGiB 6 \(own\.yaml:6\) it must be at least 7\.$/,
    );
    const fixed = large.replace(
      "bootCheck:\n",
      "bootCheck:\n      rootGrows: false\n",
    );
    expect(expand(base, fixed)).toHaveLength(1);
  });

  it("when it has a class that every image has", () => {
    for (const name of ["DEBIAN", "LAST"]) {
      expect(() => expand(base, own.replace("WORKER", name))).toThrow(
        /own\.yaml:5: variants\.worker\.classes\[0\]: must not be DEBIAN or LAST, which every image has\./,
      );
    }
  });

  it("when its name could leave a path or reach a shell", () => {
    for (const name of ["../x", "a b", "$(reboot)", "x;y", "-x"]) {
      expect(() =>
        expand(base, own.replace("  worker:", `  "${name}":`)),
      ).toThrow(/^own\.yaml:\d+: variants/);
    }
  });

  it("when its key stands twice", () => {
    expect(() =>
      expand(
        base,
        own.replace(
          "    classes: [WORKER]\n",
          "    classes: [WORKER]\n    classes: [X]\n",
        ),
      ),
    ).toThrow(/own\.yaml: Map keys must be unique/);
  });

  it("when aliases would make it endless", () => {
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de", "ef", "fg"]) {
      bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(", ")}]`);
    }
    expect(() => expand(base, bomb.join("\n"))).toThrow(
      /^own\.yaml: Excessive alias count.*Write out what the aliases stand for\.$/,
    );
  });
});

describe("how images are kept up", () => {
  const release = base.replace(
    "classes: [TRIXIE]",
    "classes: [TRIXIE]\n    allowFailure: true\n    alertAfterDays: 7",
  );

  it("is no matter where nobody says anything", () => {
    const [image] = expand(base, own);
    expect(image?.definition.allowFailure).toBe(false);
    expect(image?.definition).not.toHaveProperty("alertAfterDays");
  });

  it("is said by the release, or by the variant, whose word counts more", () => {
    const [image] = expand(release, own);
    expect(image?.definition).toMatchObject({
      allowFailure: true,
      alertAfterDays: 7,
    });
    expect(image?.places.get("alertAfterDays")).toBe("base.yaml:8");

    const stricter = own.replace(
      "classes:",
      "allowFailure: false\n    classes:",
    );
    const [other] = expand(release, stricter);
    expect(other?.definition).toMatchObject({
      allowFailure: false,
      alertAfterDays: 7,
    });
    expect(other?.places.get("allowFailure")).toBe("own.yaml:5");
  });

  it("has one kind of freshness, which one that extends another replaces", () => {
    const daily = release.replace(
      "allowFailure: true",
      "freshness: { everyHours: 24 }",
    );
    const [image] = expand(daily, own);
    expect(image?.definition.freshness).toEqual({ everyHours: 24 });
    expect(image?.places.get("freshness.everyHours")).toBe("base.yaml:7");

    const cloud = daily.replace(
      "  cloud:",
      "  cloud:\n    freshness: { everyHours: 6 }",
    );
    const pinned = own.replace(
      "classes:",
      "freshness: { pinned: 20261101T000000Z }\n    classes:",
    );
    const [other] = expand(cloud, pinned);
    expect(other?.definition.freshness).toEqual({ pinned: "20261101T000000Z" });

    const wrong = own.replace("classes:", "freshness: weekly\n    classes:");
    expect(() => expand(base, wrong)).toThrow(
      /^own\.yaml:5: variants\.worker\.freshness/,
    );
  });

  it("has an age in days above none", () => {
    const wrong = own.replace("classes:", "alertAfterDays: 0\n    classes:");
    expect(() => expand(base, wrong)).toThrow(
      /^own\.yaml:5: variants\.worker\.alertAfterDays/,
    );
  });
});
