/** The resource, at a real Glance: what it makes, finds, heals and removes, and what it leaves alone. */

import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  it,
  vi,
} from "vitest";
import {
  PublicationError,
  StoreError,
  UserError,
  WrongCopyError,
} from "../../../infra/errors.ts";
import {
  type GlanceImageInputs,
  type GlanceImageOutputs,
  glanceImages,
} from "../../../infra/platforms/openstack/glanceImageProvider.ts";
import { digestsOfFile } from "../../../infra/store/digest.ts";
import {
  listPublications,
  removePublication,
} from "../../../infra/store/documents.ts";
import { openStore } from "../../../infra/store/openStore.ts";
import type { BuildRecord } from "../../../infra/store/records.ts";
import { GlanceProxy } from "../../servers/glanceProxy.ts";
import {
  largestImageBytes,
  memberPassword,
  OpenstackCloud,
} from "../../servers/openstack.ts";
import { startTls } from "../../servers/tlsProxy.ts";
import {
  createElsewhere,
  impatience,
  resultOf,
  sampleInputs,
  storeImage,
} from "./sampleImage.ts";

const implementation = glanceImages(impatience);
const unchanged = { replaces: [], updates: [] };
const upload = /\/file$/;
const mebibyte = 1024 ** 2;

// Servers in Python take their time on a machine that has other work.
vi.setConfig({ testTimeout: 240_000 });

let directory: string;
let cloud: OpenstackCloud;
let proxy: GlanceProxy;
let cloudsFile: string;
let store: string;
let build: BuildRecord;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "glance-image-"));
  store = join(directory, "store");
  cloud = await OpenstackCloud.start(directory);
  proxy = await GlanceProxy.start(cloud.glanceUrl);
  cloudsFile = join(directory, "clouds.yaml");
  const first = cloud.entry({ image_endpoint_override: proxy.url });
  const gone = cloud.entry({
    image_endpoint_override: "http://127.0.0.1:9/v2",
  });
  await writeFile(cloudsFile, JSON.stringify({ clouds: { first, gone } }));
  vi.stubEnv("OS_CLIENT_CONFIG_FILE", cloudsFile);
  vi.spyOn(console, "log").mockImplementation(() => {});
  build = await storeImage(store, { seed: "usual" });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await proxy?.[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

afterEach(async () => {
  proxy.reset();
  await cloud.clear();
  for (const record of await listPublications(openStore(store))) {
    await removePublication(openStore(store), {
      ...record,
      definition: record.definition.name,
    });
  }
});

function inputs(changes: Partial<GlanceImageInputs> = {}): GlanceImageInputs {
  return sampleInputs(store, build, changes);
}

async function made(
  changes: Partial<GlanceImageInputs> = {},
): Promise<GlanceImageOutputs> {
  return (await implementation.create(inputs(changes))).outputs;
}

/** The image by the administrator's eyes. */
async function shown(id: string | undefined) {
  const url = `${cloud.glanceUrl}/v2/images/${id}`;
  return (await cloud.admin("GET", url)) as Record<string, unknown>;
}

/** The only image there is, which must be right. */
async function expectOneRightImage(outputs: GlanceImageOutputs) {
  const images = await cloud.images();
  expect(images.map(({ id }) => id)).toEqual([outputs.imageId]);
  const { sha512 } = await digestsOfFile(
    await openStore(store).file(build.raw.sha256),
  );
  expect(images[0]).toMatchObject({
    ...{ status: "active", os_hash_value: sha512, os_hash_algo: "sha512" },
    size: build.raw.sizeBytes,
  });
  expect(outputs.sha512).toBe(sha512);
  expect(await readdir(cloud.files)).toEqual([outputs.imageId]);
}

describe("an image in Glance", () => {
  it("is made hidden, described, proven and recorded, and stays as it is", async () => {
    const { id, outputs } = await implementation.create(inputs());
    await expectOneRightImage(outputs);
    expect(outputs).toEqual({
      ...inputs(),
      imageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      sha512: expect.stringMatching(/^[0-9a-f]{128}$/),
      sentBytes: build.raw.sizeBytes,
      verification: {
        ...{ sha256: build.raw.sha256, readBlocks: 8, allBlocks: 8 },
        verifiedAt: expect.any(String),
      },
      problems: [],
    });
    expect(await shown(outputs.imageId)).toMatchObject({
      name: "debian-13-genericcloud-amd64-daily-20261121-1",
      ...{ os_hidden: true, visibility: "private", min_disk: 3 },
      ...{ disk_format: "raw", container_format: "bare", team: "images" },
      ...{ architecture: "x86_64", os_distro: "debian", os_version: "13" },
      ...{ hw_disk_bus: "virtio", hw_firmware_type: "bios" },
      ...{ hw_machine_type: "q35", hw_qemu_guest_agent: "yes" },
      cloud_images_stack: "organization/cloud-images/prod",
      cloud_images_key: build.key,
      cloud_images_place: "first",
      cloud_images_definition: "debian-13-genericcloud-amd64",
      cloud_images_channel: "daily",
      cloud_images_version: "20261121-1",
      cloud_images_sha256: build.raw.sha256,
      cloud_images_id: outputs.imageId,
    });
    expect(await listPublications(openStore(store))).toMatchObject([
      {
        ...{ platform: "openstack", place: "first", version: "20261121-1" },
        names: { imageId: outputs.imageId, sha512: outputs.sha512 },
        verification: outputs.verification,
      },
    ]);
    expect(JSON.stringify(outputs)).not.toContain(memberPassword);
    expect(await implementation.read(id, outputs)).toEqual(outputs);
    expect(implementation.diff(outputs, inputs())).toEqual(unchanged);

    await implementation.delete(id, outputs);
    expect(await cloud.images()).toEqual([]);
    expect(await listPublications(openStore(store))).toEqual([]);
    await implementation.delete(id, outputs);
    expect(await implementation.read(id, outputs)).toBeUndefined();
  });

  it("is found by a run that knows nothing of it, and sent by none", async () => {
    const first = await made();
    const again = await made();
    expect(again).toMatchObject({ imageId: first.imageId, sentBytes: 0 });
    await expectOneRightImage(again);
  });

  it("gets another id when it was deleted behind our back", async () => {
    const first = await made();
    await cloud.clear();
    expect(await implementation.read("", first)).toBeUndefined();
    const again = await made();
    expect(again.imageId).not.toBe(first.imageId);
    await expectOneRightImage(again);
  });

  it("is put right where someone changed it, and not sent again", async () => {
    const outputs = await made();
    await cloud.admin(
      "PATCH",
      `${cloud.glanceUrl}/v2/images/${outputs.imageId}`,
      [
        { op: "replace", path: "/os_version", value: "12" },
        { op: "remove", path: "/team" },
        { op: "add", path: "/someones", value: "own" },
        { op: "replace", path: "/visibility", value: "community" },
      ],
      "application/openstack-images-v2.1-json-patch",
    );
    const seen = await implementation.read("", outputs);
    expect(seen?.problems).toEqual([
      `the image ${outputs.imageId} is community instead of private`,
      `the image ${outputs.imageId} has lost some of its properties`,
    ]);
    const wanted = inputs({ properties: { os_version: "13", more: "x" } });
    expect(
      implementation.diff(seen as GlanceImageOutputs, wanted).replaces,
    ).toEqual([]);
    const healed = await implementation.update("", outputs, wanted);
    expect(await shown(outputs.imageId)).toMatchObject({
      ...{ os_version: "13", more: "x", someones: "own" },
      visibility: "private",
    });
    expect(await shown(outputs.imageId)).not.toHaveProperty("hw_disk_bus");
    expect(await implementation.read("", healed)).toEqual(healed);
    expect(proxy.calls.filter((call) => upload.test(call))).toHaveLength(1);
  });

  it("is shared with those that are named, and leaves others' members alone", async () => {
    const shared = inputs({
      visibility: "shared",
      members: [cloud.otherProjectId],
    });
    const { outputs } = await implementation.create(shared);
    const url = `${cloud.glanceUrl}/v2/images/${outputs.imageId}/members`;
    const members = async () => {
      const found = (await cloud.admin("GET", url)) as {
        members: { member_id: string }[];
      };
      return found.members.map(({ member_id }) => member_id);
    };
    expect(await members()).toEqual([cloud.otherProjectId]);
    await cloud.admin("POST", url, { member: "f".repeat(32) });
    const alone = { ...shared, members: [] };
    await implementation.update("", outputs, alone);
    expect(await members()).toEqual(["f".repeat(32)]);
  });

  it("leaves a snapshot of an instance alone, which has all of its properties", async () => {
    const outputs = await made();
    const properties = Object.entries(await shown(outputs.imageId)).filter(
      ([name]) => name.startsWith("cloud_images_"),
    );
    const snapshot = (await cloud.admin(
      "POST",
      `${cloud.glanceUrl}/v2/images`,
      {
        ...Object.fromEntries(properties),
        ...{ name: "a user's", owner: cloud.projectId, visibility: "private" },
        ...{ disk_format: "raw", container_format: "bare" },
      },
    )) as { id: string };
    await made();
    await implementation.delete("", outputs);
    expect((await cloud.images()).map(({ id }) => id)).toEqual([snapshot.id]);
  });

  it("is one when two make it at the same time", async () => {
    const [first, second] = await Promise.all([made(), made()]);
    expect(first.imageId).toBe(second.imageId);
    await expectOneRightImage(second);
  });

  it("is made by an application credential, too", async () => {
    const secret = "of-a-credential";
    const id = await cloud.applicationCredential(secret);
    const auth = {
      auth_url: cloud.authUrl,
      application_credential_id: id,
      application_credential_secret: secret,
    };
    const path = join(directory, "credential.yaml");
    const only = { auth, auth_type: "v3applicationcredential" };
    await writeFile(path, JSON.stringify({ clouds: { only } }));
    vi.stubEnv("OS_CLIENT_CONFIG_FILE", path);
    try {
      const outputs = await made({ access: { cloud: "only" } });
      await expectOneRightImage(outputs);
      expect(JSON.stringify(outputs)).not.toContain(secret);
    } finally {
      vi.stubEnv("OS_CLIENT_CONFIG_FILE", cloudsFile);
    }
  });

  it("asks before it sends anything whether it may be public", async () => {
    const failure = made({ visibility: "public" });
    await expect(failure).rejects.toThrow(UserError);
    await expect(failure).rejects.toThrow(/public.*first|first.*public/);
    expect(await cloud.images()).toEqual([]);
    expect(proxy.calls.filter((call) => upload.test(call))).toEqual([]);
  });
});

describe("an upload that goes wrong", () => {
  it("is sent again after the connection broke", async () => {
    proxy.fail("PUT", upload, { kind: "cut", afterBytes: 3 * mebibyte }, 2);
    await expectOneRightImage(await made());
  });

  it("is sent again with another token when the one it had is refused", async () => {
    proxy.fail("PUT", upload, { kind: "answer", status: 401 });
    await expectOneRightImage(await made());
  });

  it("is complete when only the answer got lost", async () => {
    proxy.fail("PUT", upload, { kind: "lose" });
    proxy.fail("POST", /^images$/, { kind: "lose" });
    await expectOneRightImage(await made());
    expect(proxy.calls.filter((call) => upload.test(call))).toHaveLength(1);
  });

  it("outlasts a Glance that is not up to it for a while", async () => {
    proxy.fail("PUT", upload, { kind: "answer", status: 503 });
    proxy.fail("GET", /^images\?/, { kind: "answer", status: 502 }, 2);
    await expectOneRightImage(await made());
  });

  it("starts over when the image is deleted meanwhile", async () => {
    proxy.fail("PUT", upload, {
      kind: "meanwhile",
      afterBytes: 2 * mebibyte,
      act: () => cloud.clear(),
    });
    await expectOneRightImage(await made());
  });

  it("is replaced when Glance died over it, and believes in it ever after", async () => {
    proxy.fail("PUT", upload, {
      kind: "meanwhile",
      afterBytes: 4 * mebibyte,
      act: async () => {
        await vi.waitFor(
          async () =>
            expect(await cloud.images()).toMatchObject([{ status: "saving" }]),
          20_000,
        );
        await cloud.killGlance();
      },
    });
    await expect(made()).rejects.toThrow(/^The cloud first did not /);
    await cloud.startGlance();
    // It answers before it has asked Keystone for a token of its own.
    await vi.waitFor(
      async () =>
        expect(await cloud.images()).toMatchObject([{ status: "saving" }]),
      20_000,
    );
    const outputs = await made();
    expect(await cloud.images()).toMatchObject([
      { id: outputs.imageId, status: "active", os_hash_value: outputs.sha512 },
    ]);
    // What Glance had of the first one is left on its disk, where nobody but its operator reaches it.
    for (const name of await readdir(cloud.files)) {
      if (name !== outputs.imageId) await rm(join(cloud.files, name));
    }
  });

  it("leaves nothing when Glance never takes it", async () => {
    proxy.fail("PUT", upload, { kind: "answer", status: 500 }, 100);
    await expect(made()).rejects.toThrow(
      /^The cloud first did not take the file of debian-13-genericcloud/,
    );
    expect(await cloud.images()).toEqual([]);
    proxy.reset();
    await expectOneRightImage(await made());
  });

  it("leaves nothing when there is no room for it", async () => {
    const large = await storeImage(
      ...([store, { seed: "large" }, largestImageBytes + mebibyte] as const),
    );
    const failure = implementation.create(sampleInputs(store, large));
    await expect(failure).rejects.toThrow(PublicationError);
    await expect(failure).rejects.toThrow(/its storage is full, or a quota/);
    expect(await cloud.images()).toEqual([]);

    proxy.fail("PUT", upload, { kind: "answer", status: 507 });
    await expect(made()).rejects.toThrow(/its storage is full, or a quota/);
    expect(await cloud.images()).toEqual([]);
  });

  it("leaves nothing when Glance has other bytes than were sent", async () => {
    proxy.fail("PUT", upload, { kind: "corrupt" });
    await expect(made()).rejects.toThrow(WrongCopyError);
    expect(await cloud.images()).toEqual([]);
    expect(await listPublications(openStore(store))).toEqual([]);
    await expectOneRightImage(await made());
  });

  it("leaves nothing when the store's file is not what its name says", async () => {
    const altered = await storeImage(store, { seed: "altered" });
    const path = await openStore(store).file(altered.raw.sha256);
    await rm(path, { force: true });
    await writeFile(path, "something else");
    const failure = implementation.create(sampleInputs(store, altered));
    await expect(failure).rejects.toThrow(StoreError);
    expect(await cloud.images()).toEqual([]);
  });

  it("fails alone where a cloud is not reached", async () => {
    const [here, there] = await Promise.allSettled([
      made(),
      made({ place: "gone", access: { cloud: "gone" } }),
    ]);
    expect(here.status).toBe("fulfilled");
    expect((there as PromiseRejectedResult).reason.message).toMatch(
      /^The cloud gone did not .*ECONNREFUSED/,
    );
  });
});

it("is one of so many that are sent at once, to a cloud and to all", async () => {
  const atOnce = { inCloud: 2, inAll: 3 };
  const sent = { now: [] as string[], most: 0, mostInCloud: 0 };
  const full = Promise.withResolvers<void>();
  await using others = new AsyncDisposableStack();
  const clouds: Record<string, object> = {};
  const proxies = await Promise.all(
    ["east", "west"].map(async (name) => {
      const own = others.use(await GlanceProxy.start(cloud.glanceUrl));
      clouds[name] = cloud.entry({ image_endpoint_override: own.url });
      const act = async () => {
        sent.now.push(name);
        sent.most = Math.max(sent.most, sent.now.length);
        const inCloud = sent.now.filter((each) => each === name).length;
        sent.mostInCloud = Math.max(sent.mostInCloud, inCloud);
        // All stay until as many came as may, and a little longer for one too many.
        if (sent.most >= atOnce.inAll) full.resolve();
        await Promise.race([full.promise, sleep(20_000)]);
        await sleep(500);
        sent.now.splice(sent.now.indexOf(name), 1);
      };
      const afterBytes = mebibyte;
      own.fail("PUT", upload, { kind: "meanwhile", afterBytes, act }, 4);
      return own;
    }),
  );
  const file = join(directory, "many.yaml");
  await writeFile(file, JSON.stringify({ clouds }));
  vi.stubEnv("OS_CLIENT_CONFIG_FILE", file);
  try {
    const builds = await Promise.all(
      [1, 2, 3, 4].map((number) =>
        // More than lies between the two ends of a connection: a turn ends when all is on its way.
        storeImage(store, { version: `20261121-${number}0` }, 24 * mebibyte),
      ),
    );
    await Promise.all(
      builds.flatMap((build) =>
        Object.keys(clouds).map((place) =>
          implementation.create(
            sampleInputs(store, build, {
              ...{ place, access: { cloud: place }, atOnce },
            }),
          ),
        ),
      ),
    );
  } finally {
    vi.stubEnv("OS_CLIENT_CONFIG_FILE", cloudsFile);
  }
  const puts = proxies.flatMap(({ calls }) =>
    calls.filter((call) => call.startsWith("PUT ")),
  );
  expect(puts).toHaveLength(8);
  expect(sent).toEqual({ now: [], most: 3, mostInCloud: 2 });
});

it("goes to a cloud whose authority only clouds.yaml knows", async () => {
  await using tls = await startTls(cloud, directory);
  const clouds = {
    trusting: tls.entry(),
    wary: tls.entry({ cacert: undefined }),
  };
  const file = join(directory, "tls.yaml");
  await writeFile(file, JSON.stringify({ clouds }));
  vi.stubEnv("OS_CLIENT_CONFIG_FILE", file);
  try {
    const access = { cloud: "trusting" };
    await expectOneRightImage(await made({ place: "trusting", access }));
    const failure = made({ place: "wary", access: { cloud: "wary" } });
    await expect(failure).rejects.toThrow(/certificate/);
  } finally {
    vi.stubEnv("OS_CLIENT_CONFIG_FILE", cloudsFile);
  }
});

it("is seen by OpenStack's own command line", async () => {
  const { imageId } = await made();
  const columns = ["-c", "ID", "-c", "Name", "-c", "Status", "-f", "json"];
  const { stdout } = await execa(
    "/usr/bin/openstack",
    [...["--os-cloud", "first", "image", "list", "--hidden"], ...columns],
    { env: { OS_CLIENT_CONFIG_FILE: cloudsFile } },
  );
  expect(JSON.parse(stdout)).toEqual([
    {
      ...{ ID: imageId, Status: "active" },
      Name: "debian-13-genericcloud-amd64-daily-20261121-1",
    },
  ]);
});

describe("a process that makes an image", () => {
  it("stays below 128 MiB, whatever the image's size", async () => {
    const large = await storeImage(
      ...([store, { seed: "wide" }, 256 * mebibyte] as const),
    );
    const child = createElsewhere(sampleInputs(store, large), cloudsFile);
    const { outputs, maxRSS } = await resultOf(child);
    expect(outputs.sentBytes).toBe(256 * mebibyte);
    expect(maxRSS).toBeLessThan(128 * 1024);
  });
});
