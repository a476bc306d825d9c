import { describe, expect, it } from "vitest";
import {
  failureParagraph,
  imageParagraph,
} from "../../infra/release/summary.ts";
import { definitionWith } from "../definitions/fixtures.ts";

const version = "20261121-0312";
const base = `trixie/${version}/debian-13-tiny-amd64-${version}`;
const published = {
  version,
  files: [
    `trixie/${version}/SHA512SUMS`,
    `${base}.packages.txt`,
    `${base}.boot-bios.xml`,
    `${base}.json`,
    `${base}.qcow2`,
    `${base}.tar.zst`,
  ],
  acceleration: "tcg",
} as const;

describe("what is said of a published image", () => {
  const lines = imageParagraph("public", definitionWith(), published).split(
    "\n",
  );

  it("begins with its name and version", () => {
    expect(lines[0]).toBe("debian-13-tiny-amd64, version 20261121-0312");
  });

  it("says where image, raw disk and manifest are, from where the command was given", () => {
    expect(lines.slice(1, 4)).toEqual([
      `  Image:    public/${base}.qcow2`,
      `  Raw disk: public/${base}.tar.zst`,
      `  Manifest: public/${base}.json`,
    ]);
  });

  it("says only what was published, and how to boot it where it can be", () => {
    const files = [`${base}.oci.tar`, `${base}.vhd`, `${base}.root.tar.zst`];
    const text = imageParagraph("public", definitionWith(), {
      ...published,
      files,
    });
    expect(text.split("\n").slice(1)).toEqual([
      `  VHD:      public/${base}.vhd`,
      `  Files:    public/${base}.root.tar.zst`,
      `  OCI:      public/${base}.oci.tar`,
    ]);
  });

  it("has the command that boots that very file, on one line", () => {
    expect(lines[4]).toMatch(/^ {2}Boot it: {2}qemu-system-x86_64 /);
    expect(lines[4]).toContain(`file=public/${base}.qcow2 `);
    expect(lines[4]).toContain("-m 512 ");
    expect(lines[4]).toContain("accel=tcg");
  });

  it.each([
    [["bios", "uefi"], false],
    [["uefi-secure-boot", "bios"], false],
    [["uefi"], true],
    [["uefi-secure-boot"], true],
  ] as const)(
    "boots an image that was checked by %s with UEFI: %s",
    (firmware, isUefi) => {
      const { bootCheck } = definitionWith();
      const definition = definitionWith({
        bootCheck: { ...bootCheck, firmware },
      });
      const text = imageParagraph("public", definition, published);
      expect(text.includes("-bios ")).toBe(isUefi);
    },
  );
});

it("says loudly that an image failed, though it was allowed to, and why", () => {
  expect(failureParagraph(definitionWith(), ["No network.", "No boot."])).toBe(
    `debian-13-tiny-amd64: FAILED, which its definition allows (allowFailure). What was published of it before stays.
  No network.
  No boot.`,
  );
});
