/** A real build that fails, since its archive does not exist, and what is made of it. */

import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  filesOfDefinition,
  readConfigSpace,
} from "../../infra/definitions/configSpace.ts";
import type { Definition } from "../../infra/definitions/definition.ts";
import { imageKey } from "../../infra/definitions/key.ts";
import { implementation as bootCheck } from "../../infra/image/bootCheckProvider.ts";
import { builderVersion } from "../../infra/image/builderVersion.ts";
import {
  type FaiImageInputs,
  implementation as image,
} from "../../infra/image/faiImageProvider.ts";
import { implementation as imageFormat } from "../../infra/image/imageFormatProvider.ts";
import { implementation as publication } from "../../infra/platforms/directory/directoryPublicationProvider.ts";
import { listFailures, removeFailure } from "../../infra/store/attempts.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { definitionWith } from "../definitions/fixtures.ts";
import { storeBuild } from "../store/records.ts";

const stack = "organization/cloud-images/one";
const archive = {
  mirror: { debian: "file:/nowhere", security: "file:/nowhere" },
  suites: {},
  epochSeconds: 1_795_230_000,
};

let top: string;
let store: DirectoryStore;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "failed-image-test-"));
  store = new DirectoryStore(join(top, "store"));
  await mkdir(join(top, "fai/package_config"), { recursive: true });
  await writeFile(join(top, "fai/package_config/DEBIAN"), "PACKAGES install\n");
});
afterEach(async () => {
  await rm(top, { recursive: true, force: true });
});

async function inputsWith(parts: Partial<Definition>): Promise<FaiImageInputs> {
  const definition = definitionWith({ classes: ["DEBIAN"], ...parts });
  const configSpace = join(top, "fai");
  const files = filesOfDefinition(
    await readConfigSpace(configSpace),
    definition,
  );
  const builder = await builderVersion();
  const key = imageKey({ definition, archive, configSpace: files, builder });
  return {
    ...{ stack, key, definition, archive, configSpace },
    store: store.location,
    cache: join(top, "cache"),
    logs: join(top, "logs"),
  };
}

describe("an image that cannot be built", { timeout: 60_000 }, () => {
  it("keeps its log, is tried once more, then waits until it is told not to", async () => {
    const inputs = await inputsWith({});
    for (const attempts of [1, 2]) {
      await expect(image.create(inputs)).rejects.toThrow(/The whole log is in/);
      const [failure] = await listFailures(store);
      expect(failure).toMatchObject({ attempts, key: inputs.key, stack });
      expect(await readFile(failure?.log ?? "", "utf8")).toContain("nowhere");
    }
    await expect(image.create(inputs)).rejects.toThrow(/is not tried before/);
    const [failure] = await listFailures(store);
    expect(failure?.attempts).toBe(2);

    if (failure !== undefined) await removeFailure(store, failure);
    await expect(image.create(inputs)).rejects.toThrow(/The whole log is in/);
    expect(await listFailures(store)).toHaveLength(1);
  });

  it("is an outcome where it is allowed, which every later run tries to better", async () => {
    const inputs = await inputsWith({ allowFailure: true });
    const { id, outputs } = await image.create(inputs);
    expect(outputs.rawSha256).toBeUndefined();
    expect(outputs.failures).toEqual([
      expect.stringMatching(/^The build of debian-13-tiny-amd64 failed: /),
    ]);
    expect(image.diff(outputs, inputs)).toEqual({
      replaces: [],
      updates: ["failures"],
    });
    await image.update(id, outputs, inputs);
    const [failure] = await listFailures(store);
    expect(failure?.attempts).toBe(2);

    const definition = { ...inputs.definition, allowFailure: false };
    const disallowed = { ...inputs, definition };
    await expect(image.update(id, outputs, disallowed)).rejects.toThrow(
      /is not tried before/,
    );

    await image.delete(id, outputs);
    expect(await readdir(top)).not.toContain("store");
  });
});

describe("what depends on an image that was allowed to fail", () => {
  it("has nothing to do, until there is an image", async () => {
    const build = await storeBuild(store);
    const { key, definition, version } = build;
    const rawSha256 = build.raw.sha256;
    const failures = ["It failed."];
    const place = { stack, store: store.location, key };

    const format = "qcow2" as const;
    const formatInputs = { ...place, label: "it", format };
    const { outputs: noFormat } = await imageFormat.create(formatInputs);
    expect(noFormat.sha256).toBeUndefined();
    expect(imageFormat.diff(noFormat, formatInputs).updates).toEqual([]);
    const withImage = { ...formatInputs, rawSha256 };
    expect(imageFormat.diff(noFormat, withImage).updates).toEqual([
      "rawSha256",
    ]);

    const firmware = "bios" as const;
    const logs = { logs: join(top, "logs"), work: join(top, "work") };
    const checkInputs = { ...place, definition, firmware, ...logs };
    const { outputs: noCheck } = await bootCheck.create(checkInputs);
    expect(noCheck.checkedAt).toBeUndefined();
    const checked = await bootCheck.update("", noCheck, {
      ...checkInputs,
      rawSha256,
    });
    expect(checked.checkedAt).toBeDefined();
    // A repair that fails takes nothing back.
    expect(bootCheck.diff(checked, checkInputs).updates).toEqual([]);

    const root = join(top, "public");
    const publicationInputs = {
      ...{ ...place, root, release: "trixie", definition: definition.name },
      ...{ channel: "daily" as const, formats: ["qcow2" as const] },
      ...{ firmware: [firmware], failures },
    };
    const { id, outputs: none } = await publication.create(publicationInputs);
    expect(none.files).toEqual([]);
    expect(await readdir(top)).not.toContain("public");
    expect(publication.diff(none, publicationInputs).updates).toEqual([]);
    expect(await publication.read(id, none)).toBeUndefined();

    const good = { ...publicationInputs, version, rawSha256, failures: [] };
    expect(publication.diff(none, good)).toEqual({
      replaces: [],
      updates: ["rawSha256", "failures"],
    });
    const published = await publication.update(id, none, good);
    expect(published.files.length).toBeGreaterThan(0);
    expect(publication.diff(published, good).updates).toEqual([]);
    expect(publication.diff(published, publicationInputs)).toEqual({
      replaces: [],
      updates: [],
    });
    await publication.delete(id, none);
    expect(await readdir(root)).toContain("trixie");
  });
});
