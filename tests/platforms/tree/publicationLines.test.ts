import { describe, expect, it } from "vitest";
import { publicationLines } from "../../../infra/platforms/tree/publicationLines.ts";
import { definitionWith } from "../../definitions/fixtures.ts";

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

describe("what is said of published files", () => {
  const lines = publicationLines("public", definitionWith(), published);

  it("says where image, raw disk and manifest are, from where the command was given", () => {
    expect(lines.slice(0, 3)).toEqual([
      `  Image:    public/${base}.qcow2`,
      `  Raw disk: public/${base}.tar.zst`,
      `  Manifest: public/${base}.json`,
    ]);
  });

  it("says only what was published, and how to boot it where it can be", () => {
    const files = [`${base}.oci.tar`, `${base}.vhd`, `${base}.root.tar.zst`];
    const lines = publicationLines("public", definitionWith(), {
      ...published,
      files,
    });
    expect(lines).toEqual([
      `  VHD:      public/${base}.vhd`,
      `  Files:    public/${base}.root.tar.zst`,
      `  OCI:      public/${base}.oci.tar`,
    ]);
  });

  it("has the command that boots that very file, on one line", () => {
    expect(lines[3]).toMatch(/^ {2}Boot it: {2}qemu-system-x86_64 /);
    expect(lines[3]).toContain(`file=public/${base}.qcow2 `);
    expect(lines[3]).toContain("-m 512 ");
    expect(lines[3]).toContain("accel=tcg");
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
      const lines = publicationLines("public", definition, published);
      expect(lines.join("\n").includes("-bios ")).toBe(isUefi);
    },
  );
});
