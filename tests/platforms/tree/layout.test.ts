import { describe, expect, it } from "vitest";
import type {
  DefinitionName,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import {
  channelDirectory,
  filePath,
  type ImageName,
  isLatestDirectoryName,
  latestDirectoryName,
  newestFirst,
  sumsText,
  undatedName,
} from "../../../infra/platforms/tree/layout.ts";

const image: ImageName = {
  release: "trixie",
  channel: "release",
  definition: "debian-13-ec2-amd64" as DefinitionName,
  version: "20261121-1" as ImageVersion,
};

describe("the layout", () => {
  it("names files as Debian's own images are named", () => {
    expect(filePath(image, "qcow2")).toBe(
      "trixie/20261121-1/debian-13-ec2-amd64-20261121-1.qcow2",
    );
  });

  it("gives every channel but release a directory of its own, as Debian does", () => {
    expect(filePath({ ...image, channel: "daily" }, "qcow2")).toBe(
      "trixie/daily/20261121-1/debian-13-ec2-amd64-20261121-1.qcow2",
    );
    expect(channelDirectory({ release: "trixie", channel: "dev" })).toBe(
      "trixie/dev",
    );
  });

  it.each(["tar.zst", "json", "boot-uefi-secure-boot.log"] as const)(
    "leaves out the version for latest: %s",
    (suffix) => {
      const name = undatedName(image, filePath(image, suffix));
      expect(name).toBe(`debian-13-ec2-amd64.${suffix}`);
    },
  );

  it("orders versions by day and count, the newest first", () => {
    const versions = ["20261120-12", "20261121-9", "20261121-10"];
    expect((versions as ImageVersion[]).sort(newestFirst)).toEqual([
      "20261121-10",
      "20261121-9",
      "20261120-12",
    ]);
  });

  it("sorts checksums by name, in the form of sha512sum", () => {
    const files = ["b", "a"].map((name) => ({ name, sha512: name.repeat(4) }));
    expect(sumsText(files)).toBe("aaaa  a\nbbbb  b\n");
  });

  it("knows its own hidden directories from others", () => {
    expect(isLatestDirectoryName(latestDirectoryName("0123456789abcdef"))).toBe(
      true,
    );
    expect(isLatestDirectoryName(".latest-mine")).toBe(false);
  });
});
