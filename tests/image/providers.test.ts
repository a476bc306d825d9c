/** What the resources of an image find when they look at the store, and what they leave when they go. */

import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { implementation as bootCheck } from "../../infra/image/bootCheckProvider.ts";
import {
  type FaiImageOutputs,
  implementation as image,
} from "../../infra/image/faiImageProvider.ts";
import { implementation as imageFormat } from "../../infra/image/imageFormatProvider.ts";
import { DirectoryStore } from "../../infra/store/directoryStore.ts";
import { readFormat } from "../../infra/store/documents.ts";
import type { BuildRecord } from "../../infra/store/records.ts";
import type { Sha256 } from "../../infra/store/store.ts";
import { storeBuild } from "../store/records.ts";

const stack = "organization/cloud-images/one";
const elsewhere = "/nonexistent";

let top: string;
let store: DirectoryStore;
let build: BuildRecord;
let inputs: Omit<FaiImageOutputs, "version" | "rawSha256" | "problems">;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "cloud-images-test-"));
  store = new DirectoryStore(join(top, "store"));
  build = await storeBuild(store);
  const { key, definition, archive } = build;
  const places = { configSpace: elsewhere, cache: elsewhere, logs: elsewhere };
  inputs = {
    ...{ stack, key, definition, archive, store: store.location },
    ...places,
  };
});

afterEach(async () => {
  await rm(top, { recursive: true, force: true });
});

async function alter(sha256: Sha256): Promise<void> {
  const path = await store.file(sha256);
  await chmod(path, 0o644);
  await writeFile(path, "something else");
}

describe("an image that is in the store", () => {
  it("is not built again", async () => {
    const { id, outputs } = await image.create(inputs);
    expect(id).toBe(`${build.definition.name}/${build.key}`);
    expect(outputs).toEqual({
      ...inputs,
      version: build.version,
      rawSha256: build.raw.sha256,
      problems: [],
      failures: [],
    });
    expect(image.diff(outputs, inputs)).toEqual({ replaces: [], updates: [] });
  });

  it("is well as long as nobody touches it", async () => {
    const { id, outputs } = await image.create(inputs);
    expect(await image.read(id, outputs)).toEqual(outputs);
  });

  it("calls for mending when its bytes were altered or are gone", async () => {
    const { id, outputs } = await image.create(inputs);
    await alter(build.raw.sha256);
    const altered = await image.read(id, outputs);
    expect(altered?.problems).toEqual([
      "the raw image in the store is altered",
    ]);
    expect(image.diff(altered ?? outputs, inputs).updates).toEqual([
      "problems",
    ]);
    await store.discard(build.raw.sha256);
    const missing = await image.read(id, outputs);
    expect(missing?.problems).toEqual([
      "the raw image in the store is missing",
    ]);
  });

  it("cannot be mended once what it was built from has changed, and says what to do", async () => {
    const { id, outputs } = await image.create(inputs);
    await store.discard(build.raw.sha256);
    const configSpace = "image-definitions/fai";
    await expect(
      image.update(id, outputs, { ...inputs, configSpace }),
    ).rejects.toThrow(
      /was built from an older config space or builder and cannot be built again\. Check out the revision that made it/,
    );
  });

  it("is gone when its record is", async () => {
    const { id, outputs } = await image.create(inputs);
    await store.remove(`builds/${build.key}/build.json`);
    expect(await image.read(id, outputs)).toBeUndefined();
  });

  it("goes with the last stack that declares it, and leaves nothing", async () => {
    const { id, outputs } = await image.create(inputs);
    const others = { ...inputs, stack: "organization/cloud-images/two" };
    const other = await image.create(others);
    await image.delete(id, outputs);
    expect(await image.read(other.id, other.outputs)).toEqual(other.outputs);
    await image.delete(other.id, other.outputs);
    expect(await readdir(top)).toEqual([]);
    await image.delete(other.id, other.outputs);
  });

  it("is another one under another key", async () => {
    const { outputs } = await image.create(inputs);
    const key = "0".repeat(64) as typeof build.key;
    expect(image.diff(outputs, { ...inputs, key }).replaces).toEqual(["key"]);
  });
});

describe("a format that is in the store", () => {
  const label = "an image";
  const format = "qcow2";
  const formatInputs = () => ({
    ...({ store: store.location, key: build.key, label, format } as const),
    rawSha256: build.raw.sha256,
  });

  it("is not made again, and calls for mending when it was altered", async () => {
    const { id, outputs } = await imageFormat.create(formatInputs());
    const record = await readFormat(store, build.key, format);
    expect(outputs.sha256).toBe(record?.artifact.sha256);
    expect(await imageFormat.read(id, outputs)).toEqual(outputs);
    await alter(outputs.sha256 as Sha256);
    const altered = await imageFormat.read(id, outputs);
    expect(altered?.problems).toEqual([
      "the qcow2 file in the store is altered",
    ]);
    expect(
      imageFormat.diff(altered ?? outputs, formatInputs()).updates,
    ).toEqual(["problems"]);
  });

  it("is made again for another raw image", async () => {
    const { outputs } = await imageFormat.create(formatInputs());
    const changed = { ...formatInputs(), rawSha256: "1".repeat(64) };
    expect(imageFormat.diff(outputs, changed).updates).toEqual(["rawSha256"]);
  });
});

describe("a boot check that was passed", () => {
  const checkInputs = () => ({
    ...{ stack, store: store.location, key: build.key },
    definition: build.definition,
    rawSha256: build.raw.sha256,
    firmware: "bios" as const,
    ...{ logs: elsewhere, work: elsewhere },
  });

  it("is not done again for the same image", async () => {
    const { id, outputs } = await bootCheck.create(checkInputs());
    expect(outputs.problems).toEqual([]);
    expect(await bootCheck.read(id, outputs)).toEqual(outputs);
    expect(bootCheck.diff(outputs, checkInputs())).toEqual({
      replaces: [],
      updates: [],
    });
  });

  it("says nothing about another image", async () => {
    const { id, outputs } = await bootCheck.create(checkInputs());
    const other = { ...outputs, rawSha256: "1".repeat(64) };
    const read = await bootCheck.read(id, other);
    expect(read?.problems).toEqual(["the record is about another image"]);
    expect(bootCheck.diff(read ?? other, checkInputs()).updates).toEqual([
      "rawSha256",
      "problems",
    ]);
  });

  it("is gone when its record is", async () => {
    const { id, outputs } = await bootCheck.create(checkInputs());
    await store.remove(`builds/${build.key}/boot-checks/bios.json`);
    expect(await bootCheck.read(id, outputs)).toBeUndefined();
  });
});
