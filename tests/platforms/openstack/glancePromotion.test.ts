/** The name of the newest image, at a real Glance. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { PublicationError } from "../../../infra/errors.ts";
import {
  type GlanceImageOutputs,
  glanceImages,
} from "../../../infra/platforms/openstack/glanceImageProvider.ts";
import {
  type GlancePromotionInputs,
  glancePromotions,
} from "../../../infra/platforms/openstack/glancePromotionProvider.ts";
import { withImageLock } from "../../../infra/platforms/openstack/imageLock.ts";
import {
  readPublication,
  removePublication,
  writePublication,
} from "../../../infra/store/documents.ts";
import { openStore } from "../../../infra/store/openStore.ts";
import { OpenstackCloud } from "../../servers/openstack.ts";
import { impatience, sampleInputs, storeImage } from "./sampleImage.ts";

const images = glanceImages(impatience);
const implementation = glancePromotions(impatience);
const name = "debian-13-genericcloud-amd64-daily";

// Servers in Python take their time on a machine that has other work.
vi.setConfig({ testTimeout: 240_000 });

let directory: string;
let cloud: OpenstackCloud;
let store: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "glance-promotion-"));
  store = join(directory, "store");
  cloud = await OpenstackCloud.start(directory);
  const cloudsFile = join(directory, "clouds.yaml");
  const clouds = { first: cloud.entry() };
  await writeFile(cloudsFile, JSON.stringify({ clouds }));
  vi.stubEnv("OS_CLIENT_CONFIG_FILE", cloudsFile);
  vi.spyOn(console, "log").mockImplementation(() => {});
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await cloud?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

afterEach(async () => {
  await cloud.clear();
  await rm(store, { recursive: true, force: true });
});

/** An image of that version, uploaded and recorded. */
async function uploaded(version: string): Promise<GlanceImageOutputs> {
  const build = await storeImage(store, { version }, 1024 ** 2);
  return (await images.create(sampleInputs(store, build))).outputs;
}

function inputs({
  stack,
  place,
  definition,
  channel,
  access,
  imageId,
}: GlanceImageOutputs): GlancePromotionInputs {
  return { stack, place, definition, channel, access, store, imageId };
}

/** Names of all images that are not hidden, and of all that are. */
async function shown() {
  const found = (await cloud.images()).map(({ name, os_hidden }) => ({
    name,
    os_hidden,
  }));
  const named = (hidden: boolean) =>
    found
      .filter(({ os_hidden }) => os_hidden === hidden)
      .map(({ name }) => name)
      .sort();
  return { seen: named(false), hidden: named(true) };
}

it("passes from the older image to the newer one, and back", async () => {
  const older = await uploaded("20261120-1");
  const { id, outputs } = await implementation.create(inputs(older));
  expect(await shown()).toEqual({ seen: [name], hidden: [] });
  const newer = await uploaded("20261121-1");
  expect(await shown()).toEqual({
    seen: [name],
    hidden: [`${name}-20261121-1`],
  });
  expect(implementation.diff(outputs, inputs(newer))).toEqual({
    replaces: [],
    updates: ["imageId"],
  });
  const next = await implementation.update(id, outputs, inputs(newer));
  expect(await shown()).toEqual({
    seen: [name],
    hidden: [`${name}-20261120-1`],
  });
  expect(await implementation.read(id, next)).toEqual(next);
  // What the image's own resource looks at is another matter.
  expect((await images.read("", newer))?.problems).toEqual([]);

  await implementation.update(id, next, inputs(older));
  expect(await shown()).toEqual({
    seen: [name],
    hidden: [`${name}-20261121-1`],
  });
  await implementation.delete(id, { ...inputs(older), problems: [] });
  expect(await shown()).toEqual({
    seen: [],
    hidden: [`${name}-20261120-1`, `${name}-20261121-1`],
  });
});

it("is put right where someone hid the image, and showed another", async () => {
  const [older, newer] = [
    await uploaded("20261120-1"),
    await uploaded("20261121-1"),
  ];
  const { id, outputs } = await implementation.create(inputs(newer));
  for (const [imageId, value] of [
    [older.imageId, false],
    [newer.imageId, true],
  ]) {
    await cloud.admin(
      "PATCH",
      `${cloud.glanceUrl}/v2/images/${imageId}`,
      [{ op: "replace", path: "/os_hidden", value }],
      "application/openstack-images-v2.1-json-patch",
    );
  }
  const seen = await implementation.read(id, outputs);
  expect(seen?.problems).toEqual([
    `${name} is not the name of the image ${newer.imageId}`,
    `the image ${older.imageId} is shown beside ${newer.imageId}`,
  ]);
  await implementation.update(id, outputs, inputs(newer));
  expect(await shown()).toEqual({
    seen: [name],
    hidden: [`${name}-20261120-1`],
  });
});

it("removes what a run made that did not live to note it, and nothing of others", async () => {
  const orphan = await uploaded("20261120-1");
  await removePublication(openStore(store), {
    ...{
      platform: "openstack",
      place: "first",
      version: "20261120-1" as never,
    },
    ...{ definition: orphan.definition, channel: "daily" },
  });
  const newer = await uploaded("20261121-1");
  await cloud.admin("POST", `${cloud.glanceUrl}/v2/images`, {
    ...{ name, owner: cloud.projectId, visibility: "private" },
  });
  await implementation.create(inputs(newer));
  expect(await shown()).toEqual({ seen: [name, name], hidden: [] });
});

it("waits for an image that is being made, and leaves it", async () => {
  const older = await uploaded("20261120-1");
  const id = {
    ...{
      platform: "openstack",
      place: "first",
      version: "20261120-1" as never,
    },
    ...{ definition: older.definition, channel: "daily" as const },
  };
  const record = await readPublication(openStore(store), id);
  const newer = await uploaded("20261121-1");
  let promotion: Promise<unknown> | undefined;
  await withImageLock(older, async () => {
    // As it is between the upload and the record.
    await removePublication(openStore(store), id);
    promotion = implementation.create(inputs(newer));
    await vi.waitFor(
      async () => expect((await shown()).seen).toEqual([name]),
      20_000,
    );
    await sleep(500);
    await writePublication(openStore(store), record ?? expect.fail());
  });
  await promotion;
  expect(await shown()).toEqual({
    seen: [name],
    hidden: [`${name}-20261120-1`],
  });
});

it("stays with the older image while the newer one is not there", async () => {
  const older = await uploaded("20261120-1");
  const { id, outputs } = await implementation.create(inputs(older));
  const missing = { ...inputs(older), imageId: crypto.randomUUID() };
  await expect(implementation.update(id, outputs, missing)).rejects.toThrow(
    PublicationError,
  );
  expect(await shown()).toEqual({ seen: [name], hidden: [] });
  const none = { ...inputs(older), imageId: undefined };
  expect(implementation.diff(outputs, none)).toEqual({
    replaces: [],
    updates: [],
  });
});
