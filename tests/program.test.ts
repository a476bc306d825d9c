/** What the program declares, as an engine hears it, for two small images and an archive without a network. */

import { tmpdir } from "node:os";
import { unknownValue } from "@pulumi/pulumi/runtime/rpc.js";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type {
  Definition,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../infra/definitions/definition.ts";
import type { ArchiveState } from "../infra/image/archive.ts";
import {
  listFailures,
  readRunOf,
  writeFailure,
} from "../infra/store/attempts.ts";
import { DirectoryStore } from "../infra/store/directoryStore.ts";
import { writeBuild, writePublication } from "../infra/store/documents.ts";
import type { FailureRecord } from "../infra/store/records.ts";
import {
  type Declaration,
  type Declared,
  type DeclaredProject,
  makeDeclaredProject,
  oneDeclared,
  variant,
} from "./declaredProject.ts";
import { storeArtifact } from "./store/records.ts";

const tiny = "debian-13-tiny-amd64";

let project: DeclaredProject;
beforeEach(async () => {
  project = await makeDeclaredProject();
  return () => project.remove();
});

/** The resources of one component, itself included. */
function withChildren({ declared }: Declaration, component: string) {
  return declared.filter(
    ({ name, parent }) => name === component || parent === component,
  );
}

/** The component of an image. */
function componentOf(declaration: Declaration): string {
  return oneDeclared(declaration, "-image").parent;
}

function components({ declared }: Declaration): readonly string[] {
  return declared
    .filter(({ type }) => type === "cloud-images:release:ImageVersion")
    .map(({ name }) => name);
}

/** Records a declared image as built and published. */
async function publish(
  image: Declared,
  version: string,
  stack = "team/cloud-images/mine",
  channel: ImageType = "daily",
): Promise<void> {
  const store = new DirectoryStore(project.path("store"));
  const build = {
    key: image.inputs.key as ImageKey,
    version: version as ImageVersion,
    definition: image.inputs.definition as Definition,
  };
  await writeBuild(store, {
    ...build,
    builtAt: "2026-11-21T03:12:45.000Z",
    archive: image.inputs.archive as ArchiveState,
    raw: await storeArtifact(store, version),
    packages: [],
    phaseSeconds: {},
    tools: {},
  });
  await writePublication(store, {
    ...build,
    platform: "directory",
    channel,
    stack,
    publishedAt: "2026-11-21T03:20:00.000Z",
    inputs: {},
    files: [],
  });
}

describe("an image version", () => {
  let declaration: Declaration;
  beforeAll(async () => {
    const project = await makeDeclaredProject();
    declaration = await project.declare();
    await project.remove();
  });

  it("is one component with an image, its formats, its boot checks and one publication", () => {
    const component = componentOf(declaration);
    expect(
      declaration.declared.map(({ type, name, parent }) => [
        type,
        name.replace(component, "*"),
        parent.replace(component, "*"),
      ]),
    ).toEqual([
      ["cloud-images:release:ImageVersion", "*", ""],
      ["pulumi-nodejs:dynamic/image:FaiImage", "*-image", "*"],
      ["pulumi-nodejs:dynamic/image:ImageFormat", "*-tar.zst", "*"],
      ["pulumi-nodejs:dynamic/image:ImageFormat", "*-qcow2", "*"],
      ["pulumi-nodejs:dynamic/image:BootCheck", "*-boot-bios", "*"],
      ["pulumi-nodejs:dynamic/image:BootCheck", "*-boot-uefi", "*"],
      [
        "pulumi-nodejs:dynamic/platforms:DirectoryPublication",
        "*-directory",
        "*",
      ],
    ]);
  });

  it("is named by its definition and the first 12 digits of its key", () => {
    const { key } = oneDeclared(declaration, "-image").inputs;
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(componentOf(declaration)).toBe(
      `${tiny}-${String(key).slice(0, 12)}`,
    );
  });

  it("is published after its image, all formats and all boot checks", () => {
    const component = componentOf(declaration);
    expect(
      oneDeclared(declaration, "-directory").dependencies.toSorted(),
    ).toEqual(
      ["boot-bios", "boot-uefi", "image", "qcow2", "tar.zst"].map(
        (end) => `${component}-${end}`,
      ),
    );
  });

  it("leaves nothing unknown in a preview but what the build itself decides", () => {
    const { declared } = declaration;
    const unknown = declared.map(({ name, inputs }) => [
      name.split("-").slice(5).join("-"),
      Object.keys(inputs).filter((key) => inputs[key] === unknownValue),
    ]);
    expect(Object.fromEntries(unknown)).toEqual({
      "": [],
      image: [],
      "tar.zst": ["rawSha256"],
      qcow2: ["rawSha256"],
      "boot-bios": ["rawSha256"],
      "boot-uefi": ["rawSha256"],
      directory: ["failures", "rawSha256", "version"],
    });
  });

  it("has no path of this machine in its inputs or its providers", () => {
    const { declared } = declaration;
    const text = JSON.stringify(declared);
    expect(text).not.toContain(tmpdir());
    expect(text).not.toContain(import.meta.dirname);
    expect(oneDeclared(declaration, "-image").provider).toContain(
      'providerOf("image/faiImageProvider.ts")',
    );
  });
});

describe("a stack", () => {
  it("checks an image with the firmware that its definition names, and no other", async () => {
    const declaration = await project.declare({
      config: project.configWith({ definitions: ["debian-13-other-amd64"] }),
    });
    const checks = declaration.declared.filter(({ type }) =>
      type.endsWith(":BootCheck"),
    );
    expect(checks.map(({ inputs }) => inputs.firmware)).toEqual([
      "uefi-secure-boot",
    ]);
    expect(oneDeclared(declaration, "-directory").inputs.firmware).toEqual([
      "uefi-secure-boot",
    ]);
  });

  it("declares every image that it names, in that order", async () => {
    const declaration = await project.declare({
      config: project.configWith({
        definitions: [tiny, "debian-13-other-amd64"],
      }),
    });
    expect(components(declaration)).toEqual([
      expect.stringMatching(/^debian-13-tiny-amd64-[0-9a-f]{12}$/),
      expect.stringMatching(/^debian-13-other-amd64-[0-9a-f]{12}$/),
    ]);
  });

  it("publishes in the channel of its type, and the very image that another type has", async () => {
    const as = (type: string) =>
      project.declare({ config: project.configWith({ type }) });
    const [daily, release] = [await as("daily"), await as("release")];
    expect(oneDeclared(daily, "-directory").inputs.channel).toBe("daily");
    expect(oneDeclared(release, "-directory").inputs.channel).toBe("release");
    expect(components(release)).toEqual(components(daily));
    expect(oneDeclared(release, "-image").inputs).toEqual(
      oneDeclared(daily, "-image").inputs,
    );
  });

  it("says the same again while nothing changes", async () => {
    expect(await project.declare()).toEqual(await project.declare());
  });

  it("says at its end where the images are", async () => {
    const { summary } = await project.declare({ preview: false });
    expect(summary).toMatch(/^debian-13-tiny-amd64, version 20261121-0312\n/);
    expect(summary).toMatch(/\n\nIndex page: public\/index\.html$/);
  });

  it("says of an image that failed its boot check that it is not published, and goes on", async () => {
    const { summary, declared } = await project.declare({
      preview: false,
      failing: ["-boot-bios"],
      config: project.configWith({
        definitions: [tiny, "debian-13-other-amd64"],
      }),
    });
    expect(summary).toMatch(
      /^debian-13-tiny-amd64: this version was not published\.\n\ndebian-13-other-amd64, version /,
    );
    expect(
      declared
        .map(({ name }) => name)
        .filter((name) => name.endsWith("-directory")),
    ).toEqual([expect.stringMatching(/^debian-13-other-/)]);
  });

  it("publishes to a bucket besides, without looking at it", async () => {
    const bucket = {
      ...{ name: "images", prefix: "cloud", region: "eu-central-1" },
      ...{ profile: "me", formats: ["qcow2"] },
    };
    const declaration = await project.declare({
      preview: false,
      config: project.configWith({ bucket }),
    });
    const { type, inputs, provider } = oneDeclared(declaration, "-bucket");
    expect(type).toBe("pulumi-nodejs:dynamic/platforms:BucketPublication");
    expect(provider).toContain("bucket/bucketPublicationProvider.ts");
    expect(inputs).toMatchObject({
      root: "s3://images/cloud?profile=me&region=eu-central-1",
      formats: ["qcow2"],
      key: oneDeclared(declaration, "-directory").inputs.key,
    });
    expect(declaration.summary).toMatch(
      /\nIndex page: s3:\/\/images\/cloud\/index\.html$/,
    );
  });

  it("makes one more format when one more is asked for, of the same image", async () => {
    const directory = { path: "public", formats: ["qcow2", "tar.zst", "vhd"] };
    const before = await project.declare();
    const after = await project.declare({
      config: project.configWith({ directory }),
    });
    const component = componentOf(before);
    const known = new Set(before.declared.map((each) => JSON.stringify(each)));
    const changed = after.declared.filter(
      (each) => !known.has(JSON.stringify(each)),
    );
    expect(changed.map(({ name }) => name)).toEqual([
      `${component}-vhd`,
      `${component}-directory`,
    ]);
    expect(changed[0]?.inputs).toMatchObject({
      format: "vhd",
      key: oneDeclared(before, "-image").inputs.key,
    });
    expect(changed[1]?.inputs.formats).toEqual(["tar.zst", "qcow2", "vhd"]);
    expect(changed[1]?.dependencies).toContain(`${component}-vhd`);
    expect(after.declared).toHaveLength(before.declared.length + 1);
  });

  it("makes no format that nothing asks for", async () => {
    const directory = { path: "public", formats: ["oci.tar"] };
    const declaration = await project.declare({
      config: project.configWith({ directory }),
    });
    const made = declaration.declared.filter(({ type }) =>
      type.endsWith(":ImageFormat"),
    );
    expect(made.map(({ inputs }) => inputs.format)).toEqual(["oci.tar"]);
  });

  it("declares nothing with a format that an image cannot have", async () => {
    await project.setVariant({
      disk: { sizeGiB: 2048 },
      bootCheck: { ...variant.bootCheck, diskSizeGiB: 2049 },
    });
    const directory = { path: "public", formats: ["vhd"] };
    const { error, declared } = await project.declare({
      config: project.configWith({ directory }),
    });
    expect(error).toMatch(
      /^UserError: Pulumi\.mine\.yaml: cloud-images:directory\.formats asks for vhd, which debian-13-tiny-amd64 cannot have: /,
    );
    expect(declared).toEqual([]);
  });

  it("notes what a run declares, and forgets failures of what it does not", async () => {
    const store = new DirectoryStore(project.path("store"));
    const stack = "team/cloud-images/mine";
    const before = await project.declare();
    expect(await readRunOf(store, "mine")).toBeUndefined();

    const key = oneDeclared(before, "-image").inputs.key as ImageKey;
    const failure = {
      ...({ key, definition: tiny, step: "build", stack } as const),
      ...{ attempts: 1, lastAttemptAt: "2026-11-21T03:12:45.000Z" },
      ...{ message: "It failed.", log: "/log" },
    } as FailureRecord;
    await writeFailure(store, failure);
    const stale = { ...failure, key: "a".repeat(64) as ImageKey };
    await writeFailure(store, stale);
    const foreign = { ...stale, step: "boot-bios", stack: "a/b/c" } as const;
    await writeFailure(store, foreign);

    await project.declare({ preview: false });
    const run = await readRunOf(store, "mine");
    expect(run).toMatchObject({ stack, images: [{ definition: tiny, key }] });
    const kept = await listFailures(store);
    expect(kept).toHaveLength(2);
    expect(kept).toEqual(expect.arrayContaining([failure, foreign]));
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "a wrong configuration",
      { retention: { versions: 1 } },
      /^UserError: Pulumi\.mine\.yaml: cloud-images:retention\.versions: /,
    ],
    [
      "an image that nobody described",
      { definitions: [tiny, "debian-9-x"] },
      /^UserError: .* names "debian-9-x"/,
    ],
  ])("declares nothing with %s", async (_what, changes, message) => {
    const config = project.configWith(changes);
    const { error, declared } = await project.declare({ config });
    expect(error).toMatch(message);
    expect(declared).toEqual([]);
  });

  it("declares nothing with an archive that cannot be read", async () => {
    await project.write(
      "bin/apt-get",
      "#!/bin/sh\necho no route >&2\nexit 100\n",
    );
    const { error, declared } = await project.declare();
    expect(error).toMatch(/^UserError: The archive of trixie .*:\nno route\n/);
    expect(declared).toEqual([]);
  });
});

describe("an older version", () => {
  it("is declared from its records exactly as it was when it was new", async () => {
    const before = await project.declare();
    const component = componentOf(before);
    await publish(oneDeclared(before, "-image"), "20261121-0312");
    await project.setArchive("b");
    await project.write(
      "image-definitions/fai/package_config/TINY",
      "PACKAGES install\ncurl\n",
    );

    const after = await project.declare();
    expect(components(after)).toEqual([
      expect.not.stringMatching(component),
      component,
    ]);
    expect(withChildren(after, component)).toEqual(
      withChildren(before, component),
    );
  });

  it("does not need its definition as it was", async () => {
    const before = await project.declare();
    await publish(oneDeclared(before, "-image"), "20261121-0312");
    await project.setVariant({
      description: "Otherwise",
      disk: { sizeGiB: 1 },
    });

    const after = await project.declare();
    expect(components(after)).toHaveLength(2);
    expect(withChildren(after, componentOf(before))).toEqual(
      withChildren(before, componentOf(before)),
    );
  });

  it("is not declared twice while it is the current one", async () => {
    const before = await project.declare();
    await publish(oneDeclared(before, "-image"), "20261121-0312");
    expect(await project.declare()).toEqual(before);
  });

  it("goes when retention does not keep it", async () => {
    const published: string[] = [];
    for (const [index, archive] of ["1", "2", "3"].entries()) {
      await project.setArchive(archive);
      const now = await project.declare();
      const image = now.declared.find(({ name }) =>
        name.endsWith("-image"),
      ) as Declared;
      published.unshift(image.parent);
      await publish(image, `2026112${index}-0312`);
    }
    await project.setArchive("4");
    const kept = async (versions: number) => {
      const config = project.configWith({ retention: { versions } });
      return components(await project.declare({ config })).slice(1);
    };
    expect(await kept(2)).toEqual(published.slice(0, 1));
    expect(await kept(3)).toEqual(published.slice(0, 2));
    expect(await kept(9)).toEqual(published);
  });

  it("that was for trying out moves into no other channel", async () => {
    const before = await project.declare();
    const stack = "team/cloud-images/mine";
    await publish(oneDeclared(before, "-image"), "20261121-0312", stack, "dev");
    await project.setArchive("b");
    const kept = async (type: ImageType) => {
      const config = project.configWith({ type });
      return components(await project.declare({ config })).length;
    };
    expect(await kept("daily")).toBe(1);
    expect(await kept("release")).toBe(1);
    expect(await kept("dev")).toBe(2);
  });

  it("of a daily image becomes a release", async () => {
    const before = await project.declare();
    await publish(oneDeclared(before, "-image"), "20261121-0312");
    await project.setArchive("b");
    const config = project.configWith({ type: "release" });
    expect(components(await project.declare({ config }))).toHaveLength(2);
  });

  it("of another stack is not declared", async () => {
    const before = await project.declare();
    await publish(
      oneDeclared(before, "-image"),
      "20261121-0312",
      "team/cloud-images/other",
    );
    await project.setArchive("b");
    const after = await project.declare();
    expect(components(after)).toHaveLength(1);
    expect(components(after)).not.toEqual(components(before));
  });

  it("without its build stops the stack before anything is declared, and says what to do", async () => {
    const image = oneDeclared(await project.declare(), "-image");
    await publish(image, "20261121-0312");
    const store = new DirectoryStore(project.path("store"));
    await store.remove(`builds/${image.inputs.key}/build.json`);
    await project.setArchive("b");
    const { error, declared } = await project.declare();
    expect(error).toMatch(
      /^StoreError: .* has the publication debian-13-tiny-amd64 20261121-0312, but not its build [0-9a-f]{64}\..* restore the store from a backup, or remove publications\/directory\/debian-13-tiny-amd64\/20261121-0312\.daily\.json/,
    );
    expect(declared).toEqual([]);
  });

  it("whose record is broken stops the stack before anything is declared", async () => {
    await publish(
      oneDeclared(await project.declare(), "-image"),
      "20261121-0312",
    );
    await project.write(
      `store/publications/directory/${tiny}/20261121-0312.json`,
      '{"platform":',
    );
    await project.setArchive("b");
    const { error, declared } = await project.declare();
    expect(error).toMatch(/^StoreError: .*20261121-0312\.json/);
    expect(declared).toEqual([]);
  });
});
