import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ImageKey } from "../../infra/definitions/definition.ts";
import {
  type BuildItem,
  type ManifestSource,
  manifestOf,
  manifestText,
  type UploadItem,
} from "../../infra/store/manifest.ts";
import { sha256Of } from "./conformance.ts";
import { sampleBuild } from "./records.ts";

const raw = { sha256: sha256Of("raw"), sizeBytes: 3 };
const key = `0123456789abcdef${"0".repeat(48)}` as ImageKey;
const image = "trixie/20261121-1/debian-13-genericcloud-amd64-20261121-1";

const source: ManifestSource = {
  build: { ...sampleBuild(raw), key },
  channel: "dev",
  provider: "directory",
  files: [
    { format: "tar.zst", ref: `${image}.tar.zst`, sha512: sha512Of("tar") },
    { format: "qcow2", ref: `${image}.qcow2`, sha512: sha512Of("qcow2") },
  ],
};

function sha512Of(text: string): string {
  return createHash("sha512").update(text).digest("hex");
}

const items = manifestOf(source).items;
const build = items[0] as BuildItem;
const uploads = items.slice(1) as UploadItem[];

describe("a manifest", () => {
  it("is a list of what is inside and of each file", () => {
    expect(manifestOf(source)).toMatchObject({
      apiVersion: "v1",
      kind: "List",
    });
    expect(
      items.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`),
    ).toEqual([
      "cloud.debian.org/v1alpha1 Build",
      "cloud.debian.org/v1alpha1 Upload",
      "cloud.debian.org/v1alpha1 Upload",
    ]);
  });

  it("says what the image is", () => {
    expect(build.data.info).toEqual({
      arch: "amd64",
      build_id: "0123456789ab",
      release: "trixie",
      release_baseid: "13",
      release_id: "13",
      type: "dev",
      vendor: "genericcloud",
      version: "20261121-1",
    });
    expect(build.metadata.labels).toEqual({
      "build.cloud.debian.org/build-id": "0123456789ab",
      "build.cloud.debian.org/type": "dev",
      "cloud.debian.org/vendor": "genericcloud",
      "cloud.debian.org/version": "20261121-1",
      "debian.org/arch": "amd64",
      "debian.org/dist": "debian",
      "debian.org/release": "trixie",
    });
  });

  it("lists the packages, with the architecture where it is a foreign one", () => {
    const packages = [
      { name: "bash", version: "5.2.37-2", architecture: "amd64" },
      { name: "adduser", version: "3.152", architecture: "all" },
      { name: "libc6", version: "2.41-12", architecture: "i386" },
    ];
    const foreign = { ...source, build: { ...source.build, packages } };
    const [first] = manifestOf(foreign).items;
    expect((first as BuildItem).data.packages).toEqual([
      { name: "bash", version: "5.2.37-2" },
      { name: "adduser", version: "3.152" },
      { name: "libc6:i386", version: "2.41-12" },
    ]);
  });

  it("says where each file is, in which format, and its SHA-512", () => {
    expect(uploads.map(({ data }) => data)).toEqual([
      { provider: "directory", ref: `${image}.tar.zst` },
      { provider: "directory", ref: `${image}.qcow2` },
    ]);
    expect(uploads[1]?.metadata.labels).toEqual({
      ...build.metadata.labels,
      "upload.cloud.debian.org/image-format": "qcow2",
      "upload.cloud.debian.org/provider": "directory",
      "upload.cloud.debian.org/type": "dev",
    });
    const digest =
      uploads[1]?.metadata.annotations?.["cloud.debian.org/digest"];
    expect(digest).toMatch(/^sha512:[A-Za-z0-9+/]{86}$/);
    const bytes = Buffer.from(digest?.slice("sha512:".length) ?? "", "base64");
    expect(bytes.toString("hex")).toBe(sha512Of("qcow2"));
  });

  it("names its items by UUIDs that depend on the key, the kind and the format only", () => {
    const uids = items.map(({ metadata }) => metadata.uid);
    const form =
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    for (const uid of uids) expect(uid).toMatch(form);
    expect(new Set(uids).size).toBe(3);
    const released = manifestOf({ ...source, channel: "release" }).items;
    expect(released.map(({ metadata }) => metadata.uid)).toEqual(uids);
    const other = { ...source.build, key: sha256Of("x") as string as ImageKey };
    const others = manifestOf({ ...source, build: other }).items;
    expect(others[0]?.metadata.uid).not.toBe(uids[0]);
  });

  it("is the same text for the same image", () => {
    expect(manifestText(source)).toBe(manifestText(structuredClone(source)));
    expect(JSON.parse(manifestText(source))).toEqual(manifestOf(source));
  });
});
