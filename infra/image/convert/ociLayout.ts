/**
 * The root file system as a container image: one layer in an OCI image layout (image-spec 1.1), in one tar that
 * podman, skopeo and docker load. The same bytes for the same disk.
 */

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import type { Architecture } from "../../definitions/definition.ts";
import { sha256OfFile } from "../../store/digest.ts";
import { compressionMemoryMiB, compressTo } from "./compression.ts";
import type { TreeEntry } from "./fileTree.ts";
import type { Converter, RawImage } from "./rawImage.ts";
import { sha256OfOutput } from "./readBack.ts";
import {
  differenceOf,
  digestsOfArchive,
  digestsOfRoot,
  rootTar,
} from "./rootTree.ts";
import { tarOf } from "./tarArchive.ts";

const mediaTypes = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+zstd",
} as const;

/** Go's names of architectures, where Debian has another. */
const goNames: Readonly<Record<string, string>> = { ppc64el: "ppc64le" };

interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  readonly size: number;
}

export const ociLayout: Converter = {
  memoryMiB: compressionMemoryMiB("zst-layer") + 64,

  async write(raw, path) {
    const layer = `${path}.layer`;
    const digest = createHash("sha256");
    await compressTo(layer, "zst-layer", hashed(rootTar(raw.path)));
    await writeLayout(raw, path, layer, `sha256:${digest.digest("hex")}`);
    await rm(layer);

    async function* hashed(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        digest.update(chunk);
        yield chunk;
      }
    }
  },

  async readBack(raw, path) {
    const document = async (name: string): Promise<unknown> =>
      JSON.parse((await execa("tar", extracting(path, name))).stdout);
    const index = (await document("index.json")) as {
      manifests: [Descriptor];
    };
    const manifest = (await document(blobName(index.manifests[0].digest))) as {
      config: Descriptor;
      layers: [Descriptor];
    };
    const config = (await document(blobName(manifest.config.digest))) as {
      rootfs: { diff_ids: [string] };
    };
    for (const { digest } of [
      index.manifests[0],
      manifest.config,
      manifest.layers[0],
    ]) {
      const found = await sha256OfOutput(
        "tar",
        extracting(path, blobName(digest)),
      );
      if (`sha256:${found}` !== digest) return `has a broken blob ${digest}`;
    }
    return readBackLayer(raw, path, manifest.layers[0], config);
  },
};

async function readBackLayer(
  raw: RawImage,
  path: string,
  { digest }: Descriptor,
  { rootfs }: { readonly rootfs: { readonly diff_ids: readonly [string] } },
): Promise<string | undefined> {
  const layer = `${path}.layer`;
  const blob = execa("tar", extracting(path, blobName(digest)), {
    buffer: false,
  });
  await Promise.all([blob, pipeline(blob.stdout, createWriteStream(layer))]);
  const [found, wanted] = await Promise.all([
    digestsOfArchive(layer),
    digestsOfRoot(raw.path),
  ]);
  await rm(layer);
  if (rootfs.diff_ids[0] !== `sha256:${found.tar}`) {
    return "has a layer that is not the one its configuration names";
  }
  return differenceOf(found, wanted);
}

function extracting(path: string, name: string): readonly string[] {
  return ["--extract", "--to-stdout", `--file=${path}`, name];
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

async function writeLayout(
  raw: RawImage,
  path: string,
  layerPath: string,
  diffId: string,
): Promise<void> {
  const { sha256, sizeBytes } = await sha256OfFile(layerPath);
  const layer = {
    mediaType: mediaTypes.layer,
    digest: `sha256:${sha256}`,
    size: sizeBytes,
  };
  const platform = { architecture: goArchitecture(raw), os: "linux" };
  const config = blob(mediaTypes.config, {
    created: new Date(raw.epochSeconds * 1000).toISOString(),
    ...platform,
    config: { Cmd: ["/bin/bash"] },
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  const manifest = blob(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config.descriptor,
    layers: [layer],
  });
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [{ ...manifest.descriptor, platform }],
  };
  const entries = [
    file("oci-layout", JSON.stringify({ imageLayoutVersion: "1.0.0" })),
    file("index.json", JSON.stringify(index)),
    file(blobName(manifest.descriptor.digest), manifest.text),
    file(blobName(config.descriptor.digest), config.text),
    {
      ...plain(blobName(layer.digest), raw),
      kind: "file" as const,
      sizeBytes,
      read: () => createReadStream(layerPath),
    },
  ];
  await pipeline(
    Readable.from(tarOf(Readable.from(entries))),
    createWriteStream(path),
  );

  function file(name: string, text: string): TreeEntry {
    const bytes = Buffer.from(text);
    return {
      ...plain(name, raw),
      kind: "file",
      sizeBytes: bytes.length,
      read: () => Readable.from([bytes]),
    };
  }
}

function goArchitecture({
  architecture,
}: {
  readonly architecture: Architecture;
}): string {
  return goNames[architecture] ?? architecture;
}

/** What all members of the layout's tar have. */
function plain(path: string, { epochSeconds }: RawImage) {
  return {
    path,
    mode: 0o644,
    uid: 0,
    gid: 0,
    modified: { seconds: epochSeconds, nanoseconds: 0 },
    attributes: new Map<string, Buffer>(),
  };
}

function blob(mediaType: string, document: object) {
  const text = JSON.stringify(document);
  const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const descriptor: Descriptor = {
    mediaType,
    digest,
    size: Buffer.byteLength(text),
  };
  return { descriptor, text };
}
