/** Processes that are killed outright while they make an image, each at another point, and what comes after them. */

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pLimit from "p-limit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { removeAbandoned } from "../../../infra/platforms/abandoned.ts";
import { glanceImages } from "../../../infra/platforms/openstack/glanceImageProvider.ts";
import { GlanceProxy } from "../../servers/glanceProxy.ts";
import { OpenstackCloud } from "../../servers/openstack.ts";
import {
  createElsewhere,
  impatience,
  sampleInputs,
  storeImage,
} from "./sampleImage.ts";

/** When a process is killed: as a call begins or amid its content, or when it was done and before its answer comes. */
interface Point {
  readonly name: string;
  readonly method: string;
  readonly path: RegExp;
  readonly when: "after" | { readonly bytes: number };
}

const points: readonly Point[] = [
  point("looking", "GET", /^images\?/, { bytes: 0 }),
  point("creating", "POST", /^images$/, { bytes: 0 }),
  point("created", "POST", /^images$/, "after"),
  point("sending", "PUT", /\/file$/, { bytes: 0 }),
  point("halfway", "PUT", /\/file$/, { bytes: 4 * 1024 ** 2 }),
  point("sent", "PUT", /\/file$/, "after"),
  point("describing", "PATCH", /./, "after"),
];

const abandoned = point("abandoned", "PUT", /\/file$/, {
  bytes: 4 * 1024 ** 2,
});

// Servers in Python take their time on a machine that has other work.
vi.setConfig({ testTimeout: 240_000 });

let directory: string;
let cloud: OpenstackCloud;
const proxies = new Map<string, GlanceProxy>();
let cloudsFile: string;

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  directory = await mkdtemp(join(tmpdir(), "killed-glance-"));
  cloud = await OpenstackCloud.start(directory);
  const clouds: Record<string, object> = {};
  for (const { name } of [...points, abandoned]) {
    const proxy = await GlanceProxy.start(cloud.glanceUrl);
    proxies.set(name, proxy);
    clouds[name] = cloud.entry({ image_endpoint_override: proxy.url });
  }
  cloudsFile = join(directory, "clouds.yaml");
  await writeFile(cloudsFile, JSON.stringify({ clouds }));
  vi.stubEnv("OS_CLIENT_CONFIG_FILE", cloudsFile);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  for (const proxy of proxies.values()) await proxy[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test("whatever the point, the next run makes the image whole, and there is one", async () => {
  const store = join(directory, "store");
  const atOneTime = pLimit(4);
  await atOneTime.map(points, async ({ name, method, path, when }) => {
    const build = await storeImage(store, { seed: name });
    const inputs = sampleInputs(store, build, {
      place: name,
      access: { cloud: name },
      // Another one at once than it is in the end.
      visibility: "community",
    });
    const child = await killedAt(method, path, when, name, () =>
      createElsewhere(inputs, cloudsFile),
    );
    expect(child.signalCode).toBe("SIGKILL");
    const { outputs } = await glanceImages(impatience).create(inputs);
    const left = (await cloud.images()).filter(
      ({ cloud_images_place }) => cloud_images_place === name,
    );
    expect(left).toMatchObject([
      {
        ...{ id: outputs.imageId, status: "active", visibility: "community" },
        os_hash_value: outputs.sha512,
        cloud_images_sha256: build.raw.sha256,
      },
    ]);
  });
  expect(await cloud.images()).toHaveLength(points.length);
});

test("an upload that nobody goes on with is removed, and nothing else", async () => {
  const store = join(directory, "store");
  const { name, method, path, when } = abandoned;
  const build = await storeImage(store, { seed: name });
  const place = { place: name, access: { cloud: name } };
  const inputs = sampleInputs(store, build, place);
  const before = await cloud.images();
  await killedAt(method, path, when, name, () =>
    createElsewhere(inputs, cloudsFile),
  );
  expect(await cloud.images()).toHaveLength(before.length + 1);
  const module = "platforms/openstack/glanceImageProvider.ts";
  await removeAbandoned({ module, inputs: { ...inputs } });
  expect((await cloud.images()).map(({ id }) => id).sort()).toEqual(
    before.map(({ id }) => id).sort(),
  );
});

/** Starts a process and kills it at a point. */
async function killedAt(
  method: string,
  path: RegExp,
  when: Point["when"],
  name: string,
  start: () => ReturnType<typeof createElsewhere>,
) {
  const proxy = proxies.get(name) as GlanceProxy;
  const killed = Promise.withResolvers<void>();
  const act = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
    killed.resolve();
  };
  proxy.fail(
    method,
    path,
    when === "after"
      ? { kind: "done", act }
      : { kind: "meanwhile", afterBytes: when.bytes, act },
  );
  const child = start();
  await killed.promise;
  return child;
}

function point(
  name: string,
  method: string,
  path: RegExp,
  when: Point["when"],
): Point {
  return { name, method, path, when };
}
