/** Images on their way to a strict stand-in for Google Cloud. */

import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
  vi,
} from "vitest";
import {
  PublicationError,
  UserError,
  WrongCopyError,
} from "../../../infra/errors.ts";
import { removeAbandoned } from "../../../infra/platforms/abandoned.ts";
import {
  type GceImageInputs,
  gceImages,
} from "../../../infra/platforms/gce/gceImageProvider.ts";
import { gcePromotions } from "../../../infra/platforms/gce/gcePromotionProvider.ts";
import {
  listPublications,
  readBuild,
  writeBuild,
} from "../../../infra/store/documents.ts";
import { openStore } from "../../../infra/store/openStore.ts";
import type { BuildRecord } from "../../../infra/store/records.ts";
import type { Sha256 } from "../../../infra/store/store.ts";
import { GoogleCloud } from "../../servers/googleCloud.ts";
import {
  bucket,
  createElsewhere,
  impatience,
  sampleInputs,
} from "./sampleGce.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const project = "first-project";
const images = gceImages(impatience);
const promotions = gcePromotions(impatience.patience);
const mebibyte = 1024 ** 2;

let directory: string;
let store: string;
let cloud: GoogleCloud;

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  directory = await mkdtemp(join(tmpdir(), "gce-image-"));
  cloud = await GoogleCloud.start(directory);
  vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", cloud.credentialsFile);
  await cloud.makeBucket(bucket);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await cloud?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

let count = 0;
beforeEach(() => {
  count++;
  store = join(directory, `store-${count}`);
  cloud.reset();
  cloud.images.clear();
});

afterEach(async () => {
  // Whatever befell an image, no object of ours is left.
  expect(await cloud.objectNames(bucket)).toEqual(
    (await cloud.objectNames(bucket)).filter((name) =>
      name.startsWith("others/"),
    ),
  );
});

function inputs(
  changes: Partial<GceImageInputs> = {},
  sizeBytes?: number,
): Promise<GceImageInputs> {
  return sampleInputs(
    ...([store, cloud.url, { seed: `test-${count}` }] as const),
    ...([changes, sizeBytes] as const),
  );
}

function writes(): readonly string[] {
  return cloud.calls.filter((call) => !call.startsWith("GET"));
}

/** How many uploads. */
function begun(): number {
  return writes().filter((call) => call.startsWith("POST upload/")).length;
}

describe("an image", () => {
  test("is made of the published file, in no family, and recorded", async () => {
    const wanted = await inputs();
    const { outputs } = await images.create(wanted);
    const [image] = cloud.imagesOf(project);
    expect(cloud.imagesOf(project)).toHaveLength(1);
    expect(image).toMatchObject({
      name: outputs.imageName,
      id: outputs.imageId,
      status: "READY",
      sourceSha256: wanted.sha256,
      architecture: "X86_64",
      storageLocations: ["europe-west3"],
      labels: {
        team: "images",
        "cloud-images-key": wanted.key.slice(0, 40),
        "cloud-images-version": wanted.version,
      },
    });
    expect(image?.family).toBeUndefined();
    expect(await listPublications(openStore(store))).toMatchObject([
      {
        ...{ platform: "gce", place: "first", version: wanted.version },
        names: { imageId: outputs.imageId, name: outputs.imageName, project },
        verification: outputs.verification,
      },
    ]);
    expect(await images.read("", outputs)).toEqual(outputs);
    expect(images.diff(outputs, wanted)).toEqual({ replaces: [], updates: [] });

    await images.delete("", outputs);
    expect(cloud.imagesOf(project)).toEqual([]);
    expect(await listPublications(openStore(store))).toEqual([]);
    expect(await images.read("", outputs)).toBeUndefined();
  });

  test("is put right where somebody changed it, without being made anew", async () => {
    const wanted = await inputs();
    const { outputs } = await images.create(wanted);
    const [image] = cloud.imagesOf(project);
    Object.assign(image ?? {}, { labels: {}, description: "mine now" });
    const seen = await images.read("", outputs);
    expect(seen?.problems).toHaveLength(2);
    cloud.reset();
    const healed = await images.update("", seen ?? outputs, wanted);
    expect(await images.read("", healed)).toMatchObject({ problems: [] });
    expect(healed.imageId).toBe(outputs.imageId);
    expect(writes().some((call) => call.includes("upload"))).toBe(false);

    const { team: _, ...labels } = wanted.labels;
    await images.update("", healed, { ...wanted, labels });
    expect(cloud.imagesOf(project)[0]?.labels).not.toHaveProperty("team");
  });

  test("is sent on where the connection broke, and again when its tokens were taken back", async () => {
    const wanted = await inputs({}, 17 * mebibyte);
    cloud.fail("PUT", /^upload\/.*upload_id/, {
      ...{ kind: "cut", afterBytes: 3 * mebibyte },
    });
    const { outputs } = await images.create(wanted);
    expect(cloud.imagesOf(project)).toMatchObject([
      { id: outputs.imageId, sourceSha256: wanted.sha256 },
    ]);
    // Pieces that had arrived were not sent again.
    expect(cloud.sentBytes).toBeLessThan(18 * mebibyte);
    await images.delete("", outputs);

    cloud.fail("PUT", /^upload\/.*upload_id/, {
      kind: "first",
      act: async () => cloud.expireTokens(),
    });
    await images.create(wanted);
    expect(cloud.imagesOf(project)).toMatchObject([
      { sourceSha256: wanted.sha256 },
    ]);
  });

  test("is sent on after the patience for one piece has passed, wherever servers fall silent", async () => {
    const wanted = await inputs({}, 33 * mebibyte);
    const hurried = gceImages({
      ...impatience,
      retries: { maxRetries: 4, totalTimeoutSeconds: 7, silenceSeconds: 3 },
    });
    const pieces = /^upload\/.*upload_id/;
    cloud.fail("PUT", pieces, { kind: "cut", afterBytes: 3 * mebibyte });
    cloud.fail("PUT", pieces, { kind: "done", act: () => sleep(1500) }, 5);
    cloud.fail("PUT", pieces, { kind: "silent" });
    const { outputs } = await hurried.create(wanted);
    expect(cloud.imagesOf(project)).toMatchObject([
      { id: outputs.imageId, sourceSha256: wanted.sha256 },
    ]);
    expect(begun()).toBe(1);
    expect(cloud.sentBytes).toBeLessThan(43 * mebibyte);
    await images.delete("", outputs);
  });

  test("is known to have arrived when the answer to its last piece gets lost", async () => {
    const wanted = await inputs({}, 9 * mebibyte);
    const pieces = /^upload\/.*upload_id/;
    cloud.fail("PUT", pieces, { kind: "done", act: async () => {} });
    cloud.fail("PUT", pieces, { kind: "lose" });
    const { outputs } = await images.create(wanted);
    expect(begun()).toBe(1);
    expect(cloud.sentBytes).toBeLessThan(10 * mebibyte);
    await images.delete("", outputs);
  });

  test("is sent anew, once, when its upload is forgotten", async () => {
    const wanted = await inputs({}, 9 * mebibyte);
    const forgotten = { kind: "answer", status: 410, reason: "gone" } as const;
    cloud.fail("PUT", /^upload\/.*upload_id/, forgotten);
    const { outputs } = await images.create(wanted);
    expect(begun()).toBe(2);
    await images.delete("", outputs);
    cloud.reset();
    cloud.fail("PUT", /^upload\/.*upload_id/, forgotten, 2);
    await expect(images.create(wanted)).rejects.toThrow(PublicationError);
    expect(begun()).toBe(2);
  });

  test("is made once where answers get lost or servers are busy", async () => {
    const wanted = await inputs();
    cloud.fail("POST", /global\/images/, { kind: "lose" });
    cloud.fail("GET", /global\/images/, {
      ...{ kind: "answer", status: 503, reason: "backendError" },
    });
    const { outputs } = await images.create(wanted);
    expect(cloud.imagesOf(project)).toMatchObject([{ id: outputs.imageId }]);
  });

  test("is deleted when its object was another one meanwhile", async () => {
    const wanted = await inputs();
    cloud.fail("POST", /global\/images/, {
      kind: "done",
      act: async () => {
        for (const name of await cloud.objectNames(bucket)) {
          await cloud.putObject(bucket, name, "something else");
        }
      },
    });
    await expect(images.create(wanted)).rejects.toThrow(WrongCopyError);
    expect(cloud.imagesOf(project)).toEqual([]);
    expect(await listPublications(openStore(store))).toEqual([]);
    // What somebody put there instead is theirs.
    for (const name of await cloud.objectNames(bucket)) {
      await cloud.removeObject(bucket, name);
    }
  });

  test("waits for its turn among all files, and in its project", async () => {
    const makeTwo = (project: string, atOnce: GceImageInputs["atOnce"]) =>
      Promise.all(
        ["20261123-1", "20261124-1"].map(async (version) =>
          images.create(
            await sampleInputs(
              ...([store, cloud.url, { seed: project, version }] as const),
              {
                ...{ atOnce, place: project },
                access: { project, endpoint: cloud.url },
              },
              17 * mebibyte,
            ),
          ),
        ),
      );
    const kinds = () =>
      cloud.calls.map(
        (call) => /^\w+ (upload|compute.*images$)?/.exec(call)?.[0],
      );
    await makeTwo("one-line", { inPlace: 2, inAll: 1 });
    const second = kinds().lastIndexOf("POST upload");
    const piecesBefore = kinds()
      .slice(0, second)
      .filter((kind) => kind === "PUT upload");
    expect(piecesBefore.length).toBeGreaterThanOrEqual(1);

    cloud.reset();
    await makeTwo("one-by-one", { inPlace: 1, inAll: 2 });
    expect(kinds().lastIndexOf("POST upload")).toBeGreaterThan(
      kinds().findIndex((kind) => kind?.startsWith("POST compute")),
    );
  });

  test("leaves nothing where a quota is used up", async () => {
    cloud.quota = 0;
    const wanted = await inputs();
    const failure = images.create(wanted);
    await expect(failure).rejects.toThrow(PublicationError);
    await expect(failure).rejects.toThrow(/a quota is used up.*IMAGES/);
  });
});

describe("nothing is touched", () => {
  async function refused(wanted: GceImageInputs, message: RegExp) {
    const failure = images.create(wanted);
    await expect(failure).rejects.toThrow(UserError);
    await expect(failure).rejects.toThrow(message);
    expect(writes()).toEqual([]);
  }

  test("where somebody else has the name or the family", async () => {
    const wanted = await inputs();
    const name = `${wanted.definition}-daily-${wanted.version}`;
    cloud.addImage(project, { name });
    await refused(wanted, /has an image .* already/);
    cloud.images.clear();
    cloud.addImage(project, { name: "theirs", family: wanted.family });
    await refused(wanted, /family .* is somebody else's: the image theirs/);
  });

  test("where a region is misspelt", async () => {
    await refused(
      await inputs({ storageLocation: "europe-west33" }),
      /no region europe-west33.*storageLocation/,
    );
  });

  test("where a disk is not of whole GiB", async () => {
    const wanted = await inputs();
    const store = openStore(wanted.store);
    const build = await readBuild(store, wanted.key);
    const raw = { sha256: wanted.sha256 as Sha256, sizeBytes: 3 * 10 ** 9 };
    await writeBuild(store, { ...(build as BuildRecord), raw });
    await refused(wanted, /has 3000000000 bytes.*whole GiB/);
  });

  test("where there is no bucket", async () => {
    const failure = images.create(await inputs({ bucket: "no-such-bucket" }));
    await expect(failure).rejects.toThrow(/There is no bucket no-such-bucket/);
    expect(cloud.imagesOf(project)).toEqual([]);
  });
});

describe("a killed process", () => {
  test.each([
    ["POST", /^upload\//, "first"],
    ["POST", /^upload\//, "done"],
    ["PUT", /^upload\//, "first"],
    ["PUT", /^upload\//, "done"],
    ["POST", /global\/images\?/, "first"],
    ["POST", /global\/images\?/, "done"],
    ["POST", /\/wait/, "done"],
    ["DELETE", /^storage\//, "first"],
    ["DELETE", /^storage\//, "done"],
  ] as const)(
    "at %s %s, %s: the next run makes it whole, once",
    async (method, path, kind) => {
      const wanted = await inputs();
      await killedAt(method, path, kind, wanted);
      const { outputs } = await images.create(wanted);
      expect(cloud.imagesOf(project)).toMatchObject([
        { id: outputs.imageId, status: "READY", sourceSha256: wanted.sha256 },
      ]);
      expect(await images.read("", outputs)).toMatchObject({ problems: [] });
    },
  );

  test("leaves what is removed when nobody goes on with it", async () => {
    const wanted = await inputs();
    await killedAt("POST", /global\/images\?/, "done", wanted);
    const others = cloud.addImage(project, { name: "others" });
    await cloud.putObject(bucket, "others/object", "theirs");
    expect(cloud.imagesOf(project)).toHaveLength(2);
    expect(await cloud.objectNames(bucket)).toHaveLength(2);
    const module = "platforms/gce/gceImageProvider.ts";
    await removeAbandoned({ module, inputs: { ...wanted } });
    expect(cloud.imagesOf(project)).toEqual([others]);
    expect(await cloud.objectNames(bucket)).toEqual(["others/object"]);
    await cloud.removeObject(bucket, "others/object");
  });

  async function killedAt(
    method: string,
    path: RegExp,
    kind: "first" | "done",
    wanted: GceImageInputs,
  ): Promise<void> {
    const killed = Promise.withResolvers<void>();
    cloud.fail(method, path, {
      kind,
      act: async () => {
        child.kill("SIGKILL");
        await once(child, "exit");
        killed.resolve();
      },
    });
    const child = createElsewhere(wanted, cloud.credentialsFile);
    await killed.promise;
  }
});

test("the memory that an upload takes does not grow with the file", async () => {
  const sizes = [8, 96].map(async (size) => {
    const wanted = await inputs({ place: `of-${size}` }, size * mebibyte);
    const child = createElsewhere(
      { ...wanted, access: { ...wanted.access, project: `project-${size}` } },
      cloud.credentialsFile,
    );
    let text = "";
    child.stdout?.on("data", (part) => {
      text += part;
    });
    await once(child, "close");
    return Number(text);
  });
  const [small = 0, large = 0] = await Promise.all(sizes);
  expect(small).toBeGreaterThan(0);
  expect(large - small).toBeLessThan(48 * 1024);
});

describe("a promotion", () => {
  test("has the family lead to the newest image, and the others give way", async () => {
    const wanted = await inputs();
    const { outputs: older } = await images.create(wanted);
    const { outputs: newer } = await images.create(
      await sampleInputs(store, cloud.url, {
        ...{ seed: `newer-${count}`, version: "20261122-1" },
      }),
    );
    const other = cloud.addImage(project, { name: "other", family: "others" });
    const promotion = {
      ...{ stack: wanted.stack, store, place: "first" },
      ...{ access: wanted.access, definition: wanted.definition },
      ...{ channel: wanted.channel, family: wanted.family },
    };
    const shown = () =>
      cloud
        .imagesOf(project)
        .filter(({ name }) => name !== "other")
        .map(({ name, family, deprecated }) => ({
          ...{ name, family, state: deprecated?.state },
          replacement: deprecated?.replacement?.split("/").at(-1),
        }))
        .sort((one) => (one.name === newer.imageName ? 1 : -1));
    const { outputs: first } = await promotions.create({
      ...{ ...promotion, imageName: older.imageName },
    });
    expect(shown()).toMatchObject([
      { name: older.imageName, family: wanted.family, state: undefined },
      // It is not promoted yet.
      { name: newer.imageName, family: undefined },
    ]);
    const second = await promotions.update("", first, {
      ...{ ...promotion, imageName: newer.imageName },
    });
    const wantedState = [
      {
        ...{ name: older.imageName, family: wanted.family },
        ...{ state: "DEPRECATED", replacement: newer.imageName },
      },
      {
        ...{ name: newer.imageName, family: wanted.family },
        ...{ state: undefined, replacement: undefined },
      },
    ];
    expect(shown()).toEqual(wantedState);
    expect(await promotions.read("", second)).toMatchObject({ problems: [] });
    expect(promotions.diff(second, second)).toEqual({
      ...{ replaces: [], updates: [] },
    });

    for (const image of cloud.imagesOf(project)) {
      if (image.name === "other") continue;
      if (image.name === newer.imageName) {
        image.deprecated = { state: "OBSOLETE" };
        delete image.family;
      } else delete image.deprecated;
    }
    const seen = await promotions.read("", second);
    expect(seen?.problems).toHaveLength(3);
    await promotions.update("", seen ?? second, second);
    expect(shown()).toEqual(wantedState);
    expect(other.deprecated).toBeUndefined();

    cloud.addImage(project, { name: "theirs", family: wanted.family });
    cloud.calls.length = 0;
    await expect(promotions.update("", second, second)).rejects.toThrow(
      /somebody else's: the image theirs/,
    );
    expect(writes()).toEqual([]);
    await images.delete("", older);
    await images.delete("", newer);
    expect(cloud.imagesOf(project).map(({ name }) => name)).toEqual([
      ...["other", "theirs"],
    ]);
  });
});

test("no token is in what is kept", async () => {
  const { outputs } = await images.create(await inputs());
  const [record] = await listPublications(openStore(store));
  const token = await readFile(join(directory, "gitlab-token"), "utf8");
  // A definition says that its image reports by systemd's credentials.
  const kept = JSON.stringify([outputs, { ...record, definition: {} }]);
  expect(kept).not.toContain(token);
  expect(kept).not.toMatch(/token|credential/i);
});
