/** What the program declares when the archive moves on, with the real apt and an archive of the test's own. */

import { cp } from "node:fs/promises";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  Definition,
  ImageKey,
  ImageVersion,
} from "../infra/definitions/definition.ts";
import type { ArchiveState } from "../infra/image/archive.ts";
import { projectPath } from "../infra/projectPaths.ts";
import { DirectoryStore } from "../infra/store/directoryStore.ts";
import { writeBuild } from "../infra/store/documents.ts";
import type { Package } from "../infra/store/records.ts";
import {
  type Declared,
  type DeclaredProject,
  makeDeclaredProject,
} from "./declaredProject.ts";
import { LocalArchive, type OfferedPackage } from "./localArchive.ts";
import { storeArtifact, storeBootCheck } from "./store/records.ts";

const essential = { name: "base", version: "1", fields: "Essential: yes" };
const required = { name: "init", version: "1", fields: "Priority: required" };
const wanted = {
  name: "wanted",
  version: "1",
  fields: "Depends: library\nRecommends: recommended",
};
const library = { name: "library", version: "1" };
const recommended = { name: "recommended", version: "1" };
const unrelated = { name: "unrelated", version: "1" };
const offered = [essential, required, wanted, library, recommended, unrelated];
const held: readonly Package[] = ["base", "init", "library", "wanted"].map(
  (name) => ({ name, version: "1", architecture: "amd64" }),
);

let project: DeclaredProject;
let archive: LocalArchive;

beforeEach(async () => {
  project = await makeDeclaredProject();
  archive = new LocalArchive(project.path("archive"));
  await archive.prepare(project.path("bin"));
  await project.write(
    "image-definitions/fai/package_config/TINY",
    "PACKAGES install-norec\nwanted\n",
  );
  await offer(offered);
});
afterEach(async () => {
  await project.remove();
});

const offer = (
  debian: readonly OfferedPackage[],
  security: readonly OfferedPackage[] = [],
) => archive.offer({ trixie: debian, "trixie-security": security });

const changed = (...changes: OfferedPackage[]) =>
  offered.map((each) => changes.find(({ name }) => name === each.name) ?? each);

/** A stack that builds the first image from the archive. */
function configuration(): Record<string, string> {
  const { address } = archive;
  const moment = `${address}/{timestamp}`;
  return project.configWith({
    archive: { debian: address, security: address },
    snapshots: { debian: moment, security: moment },
  });
}

/** The image that a preview declares. */
async function declared(): Promise<Declared> {
  const { declared, error } = await project.declare({
    config: configuration(),
  });
  expect(error).toBeUndefined();
  return declared.find(({ name }) => name.endsWith("-image")) as Declared;
}

/** Records a declared image as built. */
async function build(
  { inputs }: Declared,
  changes: { packages?: readonly Package[]; builtAt?: string } = {},
): Promise<void> {
  const store = new DirectoryStore(project.path("store"));
  const key = inputs.key as ImageKey;
  const raw = await storeArtifact(store, key);
  await writeBuild(store, {
    key,
    version: "20261121-0312" as ImageVersion,
    definition: inputs.definition as Definition,
    builtAt: "2026-11-21T03:12:45.000Z",
    archive: inputs.archive as ArchiveState,
    raw,
    packages: held,
    phaseSeconds: {},
    tools: {},
    ...changes,
  });
  for (const firmware of ["bios", "uefi"] as const) {
    await storeBootCheck(store, key, firmware, raw.sha256);
  }
}

describe("an archive that moves on", { timeout: 120_000 }, () => {
  let before: Declared;
  beforeEach(async () => {
    before = await declared();
    await build(before);
  });

  it("changes no image when no package of it is another one", async () => {
    await offer(changed({ ...unrelated, version: "2" }));
    expect(await declared()).toEqual(before);
    // Again, from what was found out the first time.
    expect(await declared()).toEqual(before);
    await offer(changed({ ...recommended, version: "2" }), [unrelated]);
    expect(await declared()).toEqual(before);
  });

  it.each<[string, () => Promise<void>]>([
    [
      "a package that it asks for",
      () => offer(changed({ ...wanted, version: "2" })),
    ],
    [
      "a dependency, in the security suite",
      () => offer(offered, [{ ...library, version: "1+deb13u1" }]),
    ],
    [
      "a package of the base",
      () => offer(changed({ ...required, version: "2" })),
    ],
    [
      "a new dependency",
      () =>
        offer(changed({ ...wanted, fields: "Depends: library, unrelated" })),
    ],
    [
      "a package that cannot be installed any more",
      () => offer(changed({ ...wanted, fields: "Depends: gone" })),
    ],
  ])("calls for another image with %s", async (_what, change) => {
    await change();
    const after = await declared();
    expect(after.inputs.key).not.toBe(before.inputs.key);
    // It is the first of its kind, so it stays the same.
    expect(await declared()).toEqual(after);
  });

  it("calls for another image when the one at hand did not pass its boot checks", async () => {
    const store = new DirectoryStore(project.path("store"));
    await store.remove(`builds/${before.inputs.key}/boot-checks/uefi.json`);
    await offer(changed({ ...unrelated, version: "2" }));
    expect((await declared()).inputs.key).not.toBe(before.inputs.key);
  });

  it("does not hide another change", async () => {
    await offer(changed({ ...unrelated, version: "2" }));
    await project.write(
      "image-definitions/fai/package_config/LAST",
      "PACKAGES install-norec\n# nothing\n",
    );
    expect((await declared()).inputs.key).not.toBe(before.inputs.key);
  });

  it("calls for another image where apt has settings that only the image knows", async () => {
    await project.write(
      "image-definitions/fai/files/etc/apt/apt.conf.d/99mine/TINY",
      'APT::Install-Recommends "false";\n',
    );
    const own = await declared();
    await build(own);
    expect(await declared()).toEqual(own);
    await offer(changed({ ...unrelated, version: "2" }));
    expect((await declared()).inputs.key).not.toBe(own.inputs.key);
  });

  it("changes no image whose pins keep it from the new package", async () => {
    await project.write(
      "image-definitions/fai/files/etc/apt/preferences.d/pin.pref/TINY",
      "Package: wanted\nPin: version 1\nPin-Priority: 1001\n",
    );
    const pinned = await declared();
    await build(pinned);
    await offer(offered, [{ ...wanted, version: "2" }]);
    expect(await declared()).toEqual(pinned);
  });
});

describe("a small disk", { timeout: 120_000 }, () => {
  const small = { disk: { sizeGiB: 1 } };
  const sized = (installedMiB: number) =>
    changed({
      ...wanted,
      fields: `Depends: library\nInstalled-Size: ${installedMiB * 1024}`,
    });

  it("is refused before anything is built where its packages do not fit", async () => {
    await project.setVariant(small);
    await offer(sized(1200));
    const { declared, error } = await project.declare({
      config: configuration(),
    });
    expect(declared).toEqual([]);
    expect(error).toContain(
      "image-definitions/images.yaml:1: the packages of debian-13-tiny-amd64 take 1200 MiB, and a disk of 1 GiB has room for 850 MiB: say disk.sizeGiB 2 or more in its definition, or take packages out.",
    );
  });

  it("is built where they do", async () => {
    await project.setVariant(small);
    await offer(sized(800));
    await declared();
  });

  it("is left to the build where only that can tell", async () => {
    await project.setVariant(small);
    await offer(changed({ ...wanted, fields: "Depends: gone" }));
    await declared();
  });
});

describe("an explanation", { timeout: 120_000 }, () => {
  /** What `scripts/images explain` says, without the set-up. */
  async function explained(): Promise<string> {
    await cp(projectPath("scripts"), project.path("scripts"), {
      recursive: true,
    });
    const config = Object.entries(configuration()).map(
      ([name, value]) => [name, JSON.parse(value)] as const,
    );
    await project.write(
      "Pulumi.mine.yaml",
      JSON.stringify({ config: Object.fromEntries(config) }),
    );
    const { stdout } = await execa(
      process.execPath,
      [
        project.path("scripts/lib/images.ts"),
        ...["explain", "debian-13-tiny-amd64", "--stack", "mine"],
      ],
      { env: { PATH: `${project.path("bin")}:${process.env.PATH}` } },
    );
    return stdout;
  }

  it("says that the archive has moved on for nothing, or names what it changes", async () => {
    await build(await declared());
    expect(await explained()).toMatch(/ was built from it: nothing would be/);
    await offer(changed({ ...unrelated, version: "2" }));
    expect(await explained()).toContain(
      "The archive has moved on since, but every package of the image is the same: nothing would be built.",
    );
    await offer(changed({ ...wanted, version: "2" }));
    const text = await explained();
    expect(text).toContain("  The archive's trixie has changed.\n");
    expect(text).toContain("  The package wanted (amd64): 1, now 2.");
    await offer(changed({ ...wanted, fields: "Depends: gone" }));
    expect(await explained()).toMatch(/ only a build can tell\.$/);
  });
});

describe("freshness", { timeout: 120_000 }, () => {
  it("can leave an image alone for some hours, whatever changes", async () => {
    await project.setVariant({ freshness: { everyHours: 24 } });
    const before = await declared();
    await build(before, { builtAt: hoursAgo(23) });
    await offer(changed({ ...wanted, version: "2" }));
    expect(await declared()).toEqual(before);

    await build(before, { builtAt: hoursAgo(25) });
    expect((await declared()).inputs.key).not.toBe(before.inputs.key);
  });

  it("can pin an image to a moment, whose archive may have expired", async () => {
    const timestamp = "20261101T000000Z";
    const expired = "Valid-Until: Sun, 01 Nov 2020 00:00:00 UTC\n";
    const suites = { trixie: offered, "trixie-security": [] };
    await archive.offer(suites, timestamp, expired);
    const present = await declared();
    await project.setVariant({ freshness: { pinned: timestamp } });
    const pinned = await declared();
    expect(pinned.inputs.key).not.toBe(present.inputs.key);
    expect(pinned.inputs.archive).toMatchObject({
      mirror: {
        debian: `${archive.address}/${timestamp}`,
        security: `${archive.address}/${timestamp}`,
        pinnedTo: timestamp,
      },
    });
    await offer(changed({ ...wanted, version: "2" }));
    expect(await declared()).toEqual(pinned);
  });

  it("is no part of the key by itself", async () => {
    const before = await declared();
    await project.setVariant({ freshness: { everyHours: 6 } });
    expect((await declared()).inputs.key).toBe(before.inputs.key);
  });
});

function hoursAgo(hours: number): string {
  return new Date(Date.now() - hours * 3_600_000).toISOString();
}
