import { describe, expect, it } from "vitest";
import {
  bootSector,
  coreImageAt,
} from "../../../infra/image/build/biosBoot.ts";

describe("the boot sector", () => {
  const sector = Buffer.from(bootSector(Buffer.alloc(512, 0xaa), 2048));

  it("names the sector of core.img, and boots from the drive that BIOS chose", () => {
    expect(sector.readBigUInt64LE(0x5c)).toBe(2048n);
    expect(sector[0x64]).toBe(0xff);
    expect(sector.readUInt16LE(0x66)).toBe(0x9090);
  });

  it("leaves the partition table alone", () => {
    expect(sector).toHaveLength(440);
  });

  it("is refused when GRUB's file is not one sector", () => {
    expect(() => bootSector(Buffer.alloc(511), 2048)).toThrow(RangeError);
  });
});

describe("core.img", () => {
  it("names its own second sector and is otherwise as GRUB made it", () => {
    const made = Buffer.alloc(1500, 0x11);
    const placed = Buffer.from(coreImageAt(made, 2048));
    expect(placed.readBigUInt64LE(0x1f4)).toBe(2049n);
    placed.fill(0x11, 0x1f4, 0x1fc);
    expect(placed.equals(made)).toBe(true);
  });
});
