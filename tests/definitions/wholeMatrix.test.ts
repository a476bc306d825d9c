/** The keys of all images of the project, and what changes which of them. */

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  classOf,
  filesOfDefinition,
  type ReadFile,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import type { ImageType } from "../../infra/definitions/definition.ts";
import type { ExpandedImage } from "../../infra/definitions/expand.ts";
import { imageKey } from "../../infra/definitions/key.ts";
import { loadImages } from "../../infra/definitions/load.ts";
import { projectPath } from "../../infra/projectPaths.ts";

const ours = projectPath("image-definitions");

/** An archive that offers every release the same. */
const archive = {
  suites: { all: "1" },
  mirror: { debian: "http://mirror/debian", security: "http://mirror/s" },
};

type Keys = ReadonlyMap<string, string>;

function keysOf(
  images: readonly ExpandedImage[],
  configSpace: readonly ReadFile[],
): Keys {
  return new Map(
    images.map(({ definition }) => [
      definition.name,
      imageKey({
        definition,
        archive,
        configSpace: filesOfDefinition(configSpace, definition),
        builder: "b",
      }),
    ]),
  );
}

/** Names whose keys differ; a name that only one side has, too. */
function changed(before: Keys, now: Keys): readonly string[] {
  const names = new Set([...before.keys(), ...now.keys()]);
  return [...names].filter((name) => before.get(name) !== now.get(name)).sort();
}

let images: readonly ExpandedImage[];
let configSpace: readonly ReadFile[];
let keys: Keys;
beforeAll(async () => {
  images = await loadImages(ours);
  configSpace = await readConfigSpace(join(ours, "fai"));
  keys = keysOf(images, configSpace);
});

describe("the keys of the matrix", () => {
  it("are one for each image", () => {
    expect(new Set(keys.values()).size).toBe(69);
  });

  it("change with a file of a class for its dependants, and for no other image", () => {
    for (const { path } of configSpace) {
      const edited = configSpace.map((file) =>
        file.path === path ? { ...file, sha256: "edited" } : file,
      );
      const dependants = images
        .filter(({ definition }) =>
          definition.classes.includes(classOf(path) ?? ""),
        )
        .map(({ definition }) => definition.name);
      const now = keysOf(images, edited);
      expect(changed(keys, now), path).toEqual([...dependants].sort());
      // Only what explains the config space belongs to no image, and only what all images share to all of them.
      expect(dependants.length === 0, path).toBe(path === "README.md");
    }
  });

  it("are the same for a daily image and for a release, and differ for dev where root could not log in", async () => {
    const as = async (type: ImageType) =>
      keysOf(await loadImages(ours, type), configSpace);
    expect(changed(await as("daily"), await as("release"))).toEqual([]);
    expect(changed(await as("daily"), keys)).toEqual([]);
    expect(changed(await as("daily"), await as("dev"))).toEqual(
      [...keys.keys()].filter((name) => !name.includes("-nocloud-")).sort(),
    );
  });
});

describe("the layers of the matrix", () => {
  const layersOf = (name: string) => {
    const found = images.find(({ definition }) => definition.name === name);
    const { classes = [], layers = [] } = found?.definition ?? {};
    return layers.map((count) => classes.slice(0, count).join(" "));
  };

  it("end with what all variants share, and with what each variant extends", () => {
    expect(layersOf("debian-13-ec2-amd64")).toEqual([
      "DEBIAN TRIXIE AMD64 SIGNED_EFI",
      "DEBIAN TRIXIE AMD64 SIGNED_EFI CLOUD_KERNEL",
      "DEBIAN TRIXIE AMD64 SIGNED_EFI CLOUD_KERNEL CLOUD_INIT",
    ]);
    expect(layersOf("debian-12-nocloud-ppc64el")).toEqual([
      "DEBIAN PPC64EL",
      "DEBIAN PPC64EL GENERIC_KERNEL",
    ]);
  });

  it("are the same for all images of a release and an architecture that have the same kernel", () => {
    for (const { definition } of images) {
      const { classes, layers, release, architecture } = definition;
      const others = images.filter(
        ({ definition: other }) =>
          other.release.codename === release.codename &&
          other.architecture === architecture &&
          other.classes.includes("CLOUD_KERNEL") ===
            classes.includes("CLOUD_KERNEL"),
      );
      const withKernel = classes.slice(0, layers[1]);
      for (const { definition: other } of others) {
        expect(other.classes.slice(0, layers[1])).toEqual(withKernel);
      }
    }
  });
});

describe("in a copy of the definitions", () => {
  let copy: string;
  beforeEach(async () => {
    const top = await mkdtemp(join(tmpdir(), "whole-matrix-"));
    copy = join(top, "image-definitions");
    await cp(ours, copy, { recursive: true });
    return () => rm(top, { recursive: true, force: true });
  });

  const write = async (path: string, text: string, mode = 0o644) => {
    await mkdir(dirname(join(copy, path)), { recursive: true });
    await writeFile(join(copy, path), text, { mode });
  };
  const keysNow = async () =>
    keysOf(await loadImages(copy), await readConfigSpace(join(copy, "fai")));

  it("a README, a comment and the order of entries change no key", async () => {
    await write("fai/README.md", "Other words.\n");
    const text = await readFile(join(copy, "debian.yaml"), "utf8");
    const [head = "", tail = ""] = text.split("\nvariants:\n");
    const [variants = "", rest = ""] = tail.split("\ntypes:\n");
    await write(
      "debian.yaml",
      `# A comment.\nvariants:\n${variants.replaceAll("\n  ", " # words\n  ")}\n${head}\ntypes:\n${rest}`,
    );
    expect(changed(keys, await keysNow())).toEqual([]);
  });

  it("somebody's own image extends ours, with its own packages, files and scripts, and changes none of ours", async () => {
    const classFiles = [
      "fai/package_config/WORKER",
      "fai/files/etc/worker.conf/WORKER",
      "fai/scripts/WORKER/10-worker",
    ];
    for (const path of classFiles)
      await write(path, "PACKAGES install\n", 0o755);
    await write(
      "worker.yaml",
      `variants:
  worker:
    extends: genericcloud
    classes: [WORKER]
    disk: { sizeGiB: 4 }
images:
  - releases: [trixie]
    architectures: [amd64]
    variants: [worker]
    types: [daily]
`,
    );
    expect(changed(keys, await keysNow())).toEqual(["debian-13-worker-amd64"]);

    const worker = (await loadImages(copy)).find(
      ({ definition }) => definition.variant === "worker",
    );
    expect(worker?.definition).toMatchObject({
      disk: { sizeGiB: 4 },
      bootCheck: { rootGrows: true, diskSizeGiB: 6, report: "credentials" },
    });
    const files = filesOfDefinition(
      await readConfigSpace(join(copy, "fai")),
      worker?.definition ?? { name: "" as never, classes: [] },
    ).map(({ path }) => `fai/${path}`);
    expect(files).toEqual(expect.arrayContaining(classFiles));
    expect(files).toContain("fai/scripts/CLOUD_INIT/10-ssh");

    const before = await keysNow();
    await write("fai/files/etc/worker.conf/WORKER", "other\n");
    expect(changed(before, await keysNow())).toEqual([
      "debian-13-worker-amd64",
    ]);
    await write("fai/scripts/CLOUD_INIT/10-ssh", "#!/bin/sh\n", 0o755);
    const dependants = images.filter(({ definition }) =>
      definition.classes.includes("CLOUD_INIT"),
    );
    expect(changed(before, await keysNow())).toHaveLength(
      dependants.length + 1,
    );
  });

  it("somebody's own class cannot take the place of a file of ours unnoticed", async () => {
    await write("fai/files/etc/hosts/WORKER", "");
    await write(
      "worker.yaml",
      "variants: { worker: { extends: nocloud, classes: [WORKER] } }\n" +
        "images: [{ releases: [sid], architectures: [amd64], variants: [worker] }]\n",
    );
    await expect(keysNow()).rejects.toThrow(
      /^debian-sid-worker-amd64 would get \/etc\/hosts from .*\/DEBIAN and .*\/WORKER\. /,
    );
  });
});
