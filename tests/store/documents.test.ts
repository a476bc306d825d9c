import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoreError } from "../../infra/errors.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import {
  holdBuild,
  listKeys,
  listPublications,
  readBootCheck,
  readBuild,
  readFormat,
  readPublication,
  releaseBuild,
  removePublication,
  writeBuild,
  writePublication,
} from "../../infra/store/documents.ts";
import type { PublicationRecord } from "../../infra/store/records.ts";
import { sha256Of } from "./conformance.ts";
import {
  sampleBootCheck,
  sampleBuild,
  sampleDefinition,
  sampleKey,
  storeBuild,
} from "./records.ts";

let top: string;
let root: string;
let store: DirectoryStore;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "documents-"));
  root = join(top, "store");
  store = new DirectoryStore(root);
});
afterEach(() => rm(top, { recursive: true, force: true }));

const key = sampleKey();
const buildFile = () => join(root, "builds", key, "build.json");

function publication(version = "20261121-1"): PublicationRecord {
  const raw = { sha256: sha256Of("raw"), sizeBytes: 3 };
  return {
    platform: "directory",
    stack: "organization/cloud-images/local",
    key,
    version: version as PublicationRecord["version"],
    definition: sampleBuild(raw).definition,
    channel: "daily",
    publishedAt: "2026-11-21T03:20:00.000Z",
    inputs: { root: "public" },
    files: [{ path: "trixie/x.qcow2", sizeBytes: 3, sha512: "ab".repeat(64) }],
  };
}

describe("records", () => {
  it("come back as they were written", async () => {
    const build = await storeBuild(store);
    expect(await readBuild(store, key)).toEqual(build);
    const format = await readFormat(store, key, "qcow2");
    expect(format?.rawSha256).toBe(build.raw.sha256);
    expect(await readBootCheck(store, key, "bios")).toEqual(
      sampleBootCheck("bios", build.raw.sha256),
    );
    expect(await readBootCheck(store, key, "uefi-secure-boot")).toBeUndefined();
    expect(await listKeys(store)).toEqual([key]);
  });

  it("that do not exist are undefined", async () => {
    expect(await readBuild(store, key)).toBeUndefined();
    expect(await readFormat(store, key, "qcow2")).toBeUndefined();
    expect(await listPublications(store)).toEqual([]);
  });

  it("of a build are refused while its raw image is not in the store", async () => {
    const build = sampleBuild({ sha256: sha256Of("nowhere"), sizeBytes: 7 });
    await expect(writeBuild(store, build)).rejects.toThrow(StoreError);
    expect(await readBuild(store, key)).toBeUndefined();
  });

  it("that are not JSON are named, with the cure, and stay", async () => {
    await storeBuild(store);
    await writeFile(buildFile(), '{"key":');
    const reading = readBuild(store, key);
    await expect(reading).rejects.toBeInstanceOf(StoreError);
    await expect(reading).rejects.toThrow(
      /builds\/\w+\/build\.json .* is not JSON\. Nothing was removed\. Restore it/,
    );
    expect(await readFile(buildFile(), "utf8")).toBe('{"key":');
  });

  it("that lack a field say which", async () => {
    const { raw, ...rest } = await storeBuild(store);
    const broken = { ...rest, raw: { sha256: raw.sha256 } };
    await store.write(`builds/${key}/build.json`, JSON.stringify(broken));
    await expect(readBuild(store, key)).rejects.toThrow(/raw\.sizeBytes/);
  });
});

describe("publications", () => {
  it("are listed, read and removed", async () => {
    const old = publication("20261120-1");
    await writePublication(store, old);
    await writePublication(store, publication());
    const listed = await listPublications(store);
    expect(listed.map(({ version }) => version)).toEqual([
      "20261120-1",
      "20261121-1",
    ]);
    const id = { ...old, definition: sampleDefinition().name };
    expect(await readPublication(store, id)).toEqual(old);
    await removePublication(store, id);
    expect(await listPublications(store)).toHaveLength(1);
  });

  it("of one version may be in several channels", async () => {
    const daily = publication();
    const release = { ...daily, channel: "release" } as const;
    await writePublication(store, daily);
    await writePublication(store, release);
    const id = { ...daily, definition: sampleDefinition().name };
    expect(await listPublications(store)).toHaveLength(2);
    await removePublication(store, id);
    expect(await listPublications(store)).toEqual([release]);
  });

  it("are not listed at all when one cannot be read", async () => {
    await writePublication(store, publication("20261120-1"));
    await writePublication(store, publication());
    const name =
      "publications/directory/debian-13-genericcloud-amd64/20261120-1.json";
    await store.write(name, "{}");
    await expect(listPublications(store)).rejects.toThrow(new RegExp(name));
  });

  it.each(["../../etc/passwd", "/etc/passwd", "trixie/../../x", ".ssh/id"])(
    "never have a file %s",
    async (path) => {
      const files = [{ path, sizeBytes: 1, sha512: "ab".repeat(64) }];
      await writePublication(store, { ...publication(), files });
      await expect(listPublications(store)).rejects.toThrow(/files\.0\.path/);
    },
  );
});

describe("a build", () => {
  const one = "organization/cloud-images/one";
  const two = "organization/cloud-images/two";

  it("goes with its last holder, and leaves nothing", async () => {
    const build = await storeBuild(store);
    expect(await holdBuild(store, key, one)).toEqual(build);
    await holdBuild(store, key, two);
    await releaseBuild(store, key, one);
    expect(await readBuild(store, key)).toBeDefined();
    await releaseBuild(store, key, one);
    expect(await readBuild(store, key)).toBeDefined();
    await releaseBuild(store, key, two);
    expect(await readdir(top)).toEqual([]);
  });

  it("is not held before it is there", async () => {
    expect(await holdBuild(store, key, one)).toBeUndefined();
    expect(await readdir(top)).toEqual([]);
  });

  it("may be released twice", async () => {
    await storeBuild(store);
    await holdBuild(store, key, one);
    await releaseBuild(store, key, one);
    await releaseBuild(store, key, one);
  });

  it("leaves the artifacts that another build needs, too", async () => {
    const seed = "same bytes";
    const { raw } = await storeBuild(store, { seed });
    const build = await storeBuild(store, { version: "20261122-1", seed });
    expect(build.raw).toEqual(raw);
    await releaseBuild(store, sampleKey({ seed }), one);
    expect(await listKeys(store)).toEqual([build.key]);
    expect(await store.examine(raw.sha256)).toBe("sound");
    await releaseBuild(store, build.key, one);
    expect(await readdir(top)).toEqual([]);
  });

  it("stays whole when any record is broken", async () => {
    const { raw } = await storeBuild(store);
    await holdBuild(store, key, one);
    const other = await storeBuild(store, { version: "20261122-1" });
    await store.write(`builds/${other.key}/formats/qcow2.json`, "[]");
    await expect(releaseBuild(store, key, one)).rejects.toThrow(StoreError);
    expect(await store.examine(raw.sha256)).toBe("sound");
    expect(await readBuild(store, key)).toBeDefined();
  });

  it("whose removal was interrupted is removed by the next attempt", async () => {
    const { raw } = await storeBuild(store);
    await holdBuild(store, key, one);
    await store.discard(raw.sha256);
    await store.remove(`builds/${key}/boot-checks/bios.json`);
    await releaseBuild(store, key, one);
    expect(await readdir(top)).toEqual([]);
  });
});
