/** An image on its way to clouds of OpenStack: as the engine's process sends it, or by curl. */

import { execa } from "execa";
import pLimit from "p-limit";
import { readCloud } from "../../infra/openstack/cloudsFile.ts";
import { fetchToken } from "../../infra/openstack/keystone.ts";
import { usualSettings } from "../../infra/openstack/session.ts";
import { implementation } from "../../infra/platforms/openstack/glanceImageProvider.ts";
import { uploadsConfigSchema } from "../../infra/platforms/uploads.ts";
import { openStore } from "../../infra/store/openStore.ts";
import type { BuildRecord } from "../../infra/store/records.ts";
import { answer } from "./answer.ts";

export interface UploadImagesRequest {
  readonly way: "ours" | "curl";
  readonly store: string;
  readonly build: BuildRecord;
  readonly clouds: readonly string[];
  readonly cloudsFile: string;
}

export interface UploadImagesResult {
  readonly sendSeconds: number;
}

const { atOnce } = uploadsConfigSchema.parse({});

await answer(
  async (request: UploadImagesRequest): Promise<UploadImagesResult> => {
    process.env.OS_CLIENT_CONFIG_FILE = request.cloudsFile;
    // Standard output is for the answer.
    console.log = console.error;
    const send = request.way === "ours" ? sendOurs : sendByCurl;
    const started = performance.now();
    await send(request);
    return { sendSeconds: (performance.now() - started) / 1000 };
  },
);

async function sendOurs({ store, build, clouds }: UploadImagesRequest) {
  const { key, definition, version, raw } = build;
  await Promise.all(
    clouds.map((place) =>
      implementation.create({
        ...{ stack: "organization/cloud-images/bench", store, key, version },
        ...{ definition: definition.name, channel: "daily", place },
        ...{ label: definition.name, access: { cloud: place } },
        ...{ format: "raw", sha256: raw.sha256, minDiskGiB: 10 },
        ...{ properties: {}, visibility: "private", members: [] },
        atOnce: { inCloud: 2, inAll: atOnce },
      }),
    ),
  );
}

async function sendByCurl({ store, build, clouds }: UploadImagesRequest) {
  const path = await openStore(store).file(build.raw.sha256);
  await pLimit(atOnce).map(clouds, async (name) => {
    const cloud = await readCloud({ cloud: name });
    const { value, imageEndpoint } = await fetchToken(
      cloud,
      usualSettings.silenceSeconds,
    );
    const images = `${imageEndpoint}/v2/images`;
    const headers = { "x-auth-token": value };
    const made = await fetch(images, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify({
        ...{ name, disk_format: "raw", container_format: "bare" },
      }),
    });
    const { id } = (await made.json()) as { id: string };
    await execa(
      "curl",
      [
        ...["--silent", "--show-error", "--fail", "--request", "PUT"],
        ...[
          "--upload-file",
          path,
          "--header",
          "@-",
          "--expect100-timeout",
          "0.01",
        ],
        `${images}/${id}/file`,
      ],
      {
        input: `X-Auth-Token: ${value}\nContent-Type: application/octet-stream\n`,
      },
    );
  });
}
