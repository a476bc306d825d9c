/** A small image in a store, and what a stack would say of it to a cloud. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { SessionSettings } from "../../../infra/openstack/session.ts";
import type {
  GlanceImageInputs,
  GlanceImageOutputs,
} from "../../../infra/platforms/openstack/glanceImageProvider.ts";
import { machineProperties } from "../../../infra/platforms/openstack/glanceNames.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { writeBuild } from "../../../infra/store/documents.ts";
import { openStore } from "../../../infra/store/openStore.ts";
import type { BuildRecord } from "../../../infra/store/records.ts";
import {
  type SampleImage,
  sampleBuild,
  samplePackages,
} from "../../store/records.ts";

/** Clouds of tests answer soon, or not at all. */
export const impatience: SessionSettings = {
  patience: { seconds: 5, firstPauseSeconds: 0.05, longestPauseSeconds: 0.2 },
  silenceSeconds: 20,
  uploadSilenceSeconds: 20,
  settleSeconds: 3,
};

/** Puts a build into a store whose raw image begins with random bytes, and ends in a hole. */
export async function storeImage(
  address: string,
  sample: SampleImage,
  sizeBytes = 8 * 1024 ** 2,
): Promise<BuildRecord> {
  const store = openStore(address);
  const raw = await store.withIncoming(async (incoming) => {
    const path = join(incoming, "disk.raw");
    {
      await using file = await open(path, "w");
      await file.write(randomBytes(1024 ** 2));
      await file.truncate(sizeBytes);
    }
    return store.adopt(path);
  });
  const agent = {
    ...{ name: "qemu-guest-agent", version: "1:10.0", architecture: "amd64" },
  };
  const build = sampleBuild(raw, {
    ...sample,
    packages: [...samplePackages, agent],
  });
  await writeBuild(store, build);
  return build;
}

/** What a stack would give the resource. */
export function sampleInputs(
  store: string,
  { key, definition, version, raw }: BuildRecord,
  changes: Partial<GlanceImageInputs> = {},
): GlanceImageInputs {
  return {
    ...{ stack: "organization/cloud-images/prod", store, key, version },
    definition: definition.name,
    channel: "daily",
    label: `${definition.name}-${key.slice(0, 12)}`,
    place: "first",
    access: { cloud: "first" },
    format: "raw",
    sha256: raw.sha256,
    minDiskGiB: definition.disk.sizeGiB,
    properties: { ...machineProperties(definition), team: "images" },
    visibility: "private",
    members: [],
    atOnce: { inCloud: 2, inAll: 8 },
    ...changes,
  };
}

/** Starts a process that makes the image, as the engine's would, and prints its outputs and its greatest size in KiB. */
export function createElsewhere(
  inputs: GlanceImageInputs,
  cloudsFile: string,
): ChildProcess {
  const source = `
    import { implementation } from "./infra/platforms/openstack/glanceImageProvider.ts";
    console.log = () => {};
    const { outputs } = await implementation.create(${JSON.stringify(inputs)});
    const { maxRSS } = process.resourceUsage();
    process.stdout.write(JSON.stringify({ outputs, maxRSS }));
  `;
  return spawn(
    process.execPath,
    ["--no-warnings", "--input-type=module-typescript", "--eval", source],
    {
      cwd: projectPath("."),
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, OS_CLIENT_CONFIG_FILE: cloudsFile },
    },
  );
}

/** What such a process prints. */
export async function resultOf(child: ChildProcess): Promise<{
  readonly outputs: GlanceImageOutputs;
  readonly maxRSS: number;
}> {
  let text = "";
  child.stdout?.on("data", (part: Buffer) => {
    text += part;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`It ended with ${code}.`);
  return JSON.parse(text);
}
