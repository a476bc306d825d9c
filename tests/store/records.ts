/** Records and files of a small build, as a real one would leave them in a store. */

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  Definition,
  DefinitionName,
  Firmware,
  ImageKey,
  ImageType,
  ImageVersion,
} from "../../infra/definitions/definition.ts";
import {
  bootCheckAttachmentName,
  buildLogName,
  writeBootCheck,
  writeBuild,
  writeFormat,
} from "../../infra/store/documents.ts";
import type {
  BootCheckRecord,
  BuildRecord,
  Format,
  Package,
} from "../../infra/store/records.ts";
import type { Artifact, Sha256, Store } from "../../infra/store/store.ts";

const releases = { bookworm: "12", trixie: "13" } as const;

/** The formats that a stack has when it says nothing. */
export const usualFormats: readonly Format[] = ["tar.zst", "qcow2"];

/** What a test says about an image; the rest is as usual. */
export interface SampleImage {
  readonly release?: keyof typeof releases;
  readonly variant?: string;
  readonly version?: string;
  readonly channel?: ImageType;
  readonly description?: string;
  readonly firmware?: readonly Firmware[];
  readonly packages?: readonly Package[];
  readonly formats?: readonly Format[];
  /** What the raw image's bytes are made from. */
  readonly seed?: string;
}

/** A definition of the matrix, expanded. */
export function sampleDefinition(sample: SampleImage = {}): Definition {
  const { release: codename = "trixie", variant = "genericcloud" } = sample;
  const version = releases[codename];
  return {
    name: `debian-${version}-${variant}-amd64` as DefinitionName,
    release: {
      codename,
      version,
      suites: {
        debian: [codename, `${codename}-updates`],
        security: [`${codename}-security`],
      },
    },
    architecture: "amd64",
    variant,
    description: sample.description ?? "For virtual machines in a cloud.",
    classes: ["DEBIAN", "CLOUD", codename.toUpperCase(), "AMD64"],
    layers: [3],
    disk: { sizeGiB: 3 },
    build: { timeoutSeconds: 1800, memoryMiB: 3072 },
    bootCheck: {
      firmware: sample.firmware ?? ["bios", "uefi"],
      report: "credentials",
      rootGrows: true,
      diskSizeGiB: 5,
      memoryMiB: 1024,
      timeoutSeconds: 600,
    },
    allowFailure: false,
    freshness: "always",
  };
}

/** The key of a sample: another one for each definition, version and seed. */
export function sampleKey(sample: SampleImage = {}): ImageKey {
  const { name } = sampleDefinition(sample);
  const parts = [name, sample.version, sample.seed].join(" ");
  return createHash("sha256").update(parts).digest("hex") as ImageKey;
}

/** Packages such as every image has. */
export const samplePackages: readonly Package[] = [
  ["adduser", "3.152", "all"],
  ["apt", "3.0.3", "amd64"],
  ["base-files", "13.8+deb13u1", "amd64"],
  ["bash", "5.2.37-2+b5", "amd64"],
  ["cloud-init", "25.1.4-1", "all"],
  ["libc6", "2.41-12", "amd64"],
  ["linux-image-cloud-amd64", "6.12.48-1", "amd64"],
  ["openssh-server", "1:10.0p1-7", "amd64"],
  ["systemd", "257.8-1~deb13u2", "amd64"],
].map(([name = "", version = "", architecture = ""]) => ({
  name,
  version,
  architecture,
}));

/** The record of a build whose raw image is `raw`. */
export function sampleBuild(
  raw: Artifact,
  sample: SampleImage = {},
): BuildRecord {
  return {
    key: sampleKey(sample),
    version: (sample.version ?? "20261121-1") as ImageVersion,
    definition: sampleDefinition(sample),
    builtAt: "2026-11-21T03:12:45.000Z",
    archive: {
      mirror: {
        debian: "http://mirror.example/debian/",
        security: "http://mirror.example/debian-security/",
      },
      suites: { trixie: "5f70bf18a0", "trixie-security": "9ae1c3d2b1" },
      epochSeconds: 1_795_230_000,
    },
    raw,
    packages: sample.packages ?? samplePackages,
    phaseSeconds: { base: 17.1, fai: 33.5, assembly: 4.1 },
    tools: { "fai-client": "6.0.3", mmdebstrap: "1.3.5", e2fsprogs: "1.47.0" },
  };
}

/** A passed boot check of a raw image. */
export function sampleBootCheck(
  firmware: Firmware,
  rawSha256: string,
): BootCheckRecord {
  return {
    firmware,
    rawSha256,
    checkedAt: "2026-11-21T03:14:02.000Z",
    acceleration: "tcg",
    milestoneSeconds: {
      firmware: 1.2,
      kernel: 4.9,
      systemd: 11.3,
      report: 27.4,
      off: 31,
    },
    systemState: "running",
    units: { active: 112, failed: [] },
    kernel: "6.12.48+deb13-cloud-amd64",
    rootSizeBytes: 5_100_273_664,
    secureBoot: firmware === "uefi-secure-boot",
  };
}

/** Puts a complete build into a store: raw image, formats, boot checks with all that they leave. */
export async function storeBuild(
  store: Store,
  sample: SampleImage = {},
): Promise<BuildRecord> {
  const key = sampleKey(sample);
  const content = sample.seed ?? key;
  const raw = await storeArtifact(store, `raw ${content}`);
  const build = sampleBuild(raw, sample);
  await store.write(buildLogName(key), "Calling task_confdir\n");
  await writeBuild(store, build);
  for (const format of sample.formats ?? usualFormats) {
    await storeFormat(store, key, format, raw, content);
  }
  for (const firmware of build.definition.bootCheck.firmware) {
    await storeBootCheck(store, key, firmware, raw.sha256);
  }
  return build;
}

async function storeFormat(
  store: Store,
  key: ImageKey,
  format: Format,
  raw: Artifact,
  content: string,
) {
  const text = `${format} ${content} `.repeat(2000);
  const artifact = await storeArtifact(store, text);
  await writeFormat(store, key, { format, rawSha256: raw.sha256, artifact });
}

/** Puts a passed boot check and what it leaves into a store. */
export async function storeBootCheck(
  store: Store,
  key: ImageKey,
  firmware: Firmware,
  rawSha256: Sha256,
): Promise<void> {
  const attach = (name: "log" | "png" | "xml", content: string | Uint8Array) =>
    store.write(bootCheckAttachmentName(key, firmware, name), content);
  await attach("log", `[    0.000000] Linux version 6.12 (${firmware})\r\n`);
  await attach("png", screenshot);
  await attach("xml", `<testsuites name="${firmware}"/>\n`);
  await writeBootCheck(store, key, sampleBootCheck(firmware, rawSha256));
}

/** Puts a file of that content into a store. */
export function storeArtifact(
  store: Store,
  content: string,
): Promise<Artifact> {
  return store.withIncoming(async (directory) => {
    const path = join(directory, "file");
    await writeFile(path, content);
    return store.adopt(path);
  });
}

/** A PNG of one grey pixel. */
const screenshot = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
  "base64",
);
