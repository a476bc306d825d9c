/** A small tar.gz in a store, and what a stack would say of it to Google Cloud. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type {
  GceImageInputs,
  GceSettings,
} from "../../../infra/platforms/gce/gceImageProvider.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { writeBuild } from "../../../infra/store/documents.ts";
import { openStore } from "../../../infra/store/openStore.ts";
import type { Artifact } from "../../../infra/store/store.ts";
import { type SampleImage, sampleBuild } from "../../store/records.ts";

/** Google Cloud answers soon in tests, or not at all. */
export const impatience: GceSettings = {
  patience: {
    seconds: 3,
    firstPauseSeconds: 0.02,
    longestPauseSeconds: 0.2,
    operationSeconds: 10,
  },
  retries: { maxRetries: 4, totalTimeoutSeconds: 20, silenceSeconds: 10 },
};

export const bucket = "images-of-tests";

/** Of the disk that is in the tar.gz; nearly all of it is a hole. */
const diskBytes = 1024 ** 3;

/** What Compute Engine looks at: the name, the kind and the size of a sparse member. */
function tarHeader(): Buffer {
  const header = Buffer.alloc(512);
  header.write("disk.raw", 0);
  header.write("S", 156);
  header.write("ustar  ", 257);
  header.write(diskBytes.toString(8).padStart(11, "0"), 483);
  return header;
}

/** Puts a build and its tar.gz into a store, and says what a stack would give the resource. */
export async function sampleInputs(
  address: string,
  endpoint: string,
  sample: SampleImage,
  changes: Partial<GceImageInputs> = {},
  sizeBytes = 1024 ** 2,
): Promise<GceImageInputs> {
  const store = openStore(address);
  const { sha256 } = await store.withIncoming(
    async (incoming): Promise<Artifact> => {
      const path = join(incoming, "disk.tar.gz");
      const tar = [tarHeader(), randomBytes(sizeBytes)];
      await writeFile(path, gzipSync(Buffer.concat(tar), { level: 0 }));
      return store.adopt(path);
    },
  );
  // Nothing here reads the raw disk.
  const build = sampleBuild({ sha256, sizeBytes: diskBytes }, sample);
  await writeBuild(store, build);
  const { key, definition, version } = build;
  return {
    ...{ stack: "organization/cloud-images/prod", store: address },
    ...{ key, version, sha256, bucket, prefix: "disks" },
    definition: definition.name,
    channel: "daily",
    label: `${definition.name}-${key.slice(0, 12)}`,
    place: "first",
    access: { project: "first-project", endpoint },
    architecture: "X86_64",
    guestOsFeatures: ["GVNIC", "UEFI_COMPATIBLE"],
    licenses: [],
    labels: { team: "images" },
    description: definition.description,
    storageLocation: "europe-west3",
    family: `${definition.name}-daily`,
    atOnce: { inPlace: 2, inAll: 2 },
    ...changes,
  };
}

/** Starts a process that makes the image, as the engine's would, and prints its greatest size in KiB. */
export function createElsewhere(
  inputs: GceImageInputs,
  credentialsFile: string,
): ChildProcess {
  const source = `
    import { implementation } from "./infra/platforms/gce/gceImageProvider.ts";
    console.log = () => {};
    await implementation.create(${JSON.stringify(inputs)});
    process.stdout.write(String(process.resourceUsage().maxRSS));
  `;
  return spawn(
    process.execPath,
    ["--no-warnings", "--input-type=module-typescript", "--eval", source],
    {
      cwd: projectPath("."),
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, GOOGLE_APPLICATION_CREDENTIALS: credentialsFile },
    },
  );
}
