import { describe, expect, it } from "vitest";
import {
  geometryOf,
  vhdFooter,
} from "../../../infra/image/convert/vhdFooter.ts";

const gib = 1024 ** 3;
const image = { sha256: "1".repeat(64), epochSeconds: 1_795_230_000 };

describe("the footer of a VHD", () => {
  const footer = vhdFooter(image, 3 * gib);

  it("has the sizes, the kind and the date where the specification puts them", () => {
    expect(footer).toHaveLength(512);
    expect(footer.toString("latin1", 0, 8)).toBe("conectix");
    expect(footer.readBigUInt64BE(16)).toBe(0xffff_ffff_ffff_ffffn);
    const date = new Date(Date.UTC(2000, 0, 1) + footer.readUInt32BE(24) * 1e3);
    expect(date.getTime() / 1000).toBe(image.epochSeconds);
    expect(footer.readBigUInt64BE(40)).toBe(BigInt(3 * gib));
    expect(footer.readBigUInt64BE(48)).toBe(BigInt(3 * gib));
    expect(footer.readUInt32BE(60)).toBe(2);
  });

  it("has a sum that is the complement of that of all other bytes", () => {
    const others = Buffer.from(footer).fill(0, 64, 68);
    const sum = others.reduce((total, byte) => total + byte, 0);
    expect(footer.readUInt32BE(64) + sum).toBe(0xffff_ffff);
  });

  it("has another identifier for another disk, and the same for the same", () => {
    const id = (sha256: string) =>
      vhdFooter({ ...image, sha256 }, gib).toString("hex", 68, 84);
    expect(id("1")).toBe(id("1"));
    expect(id("1")).not.toBe(id("2"));
  });
});

describe("the geometry of a disk", () => {
  it.each([
    // The appendix of the specification, followed by hand.
    [24 / 1024, 722, 4, 17],
    [1, 2080, 16, 63],
    [3, 6241, 16, 63],
    [30, 62415, 16, 63],
    [31.5, 16191, 16, 255],
    [2040, 65535, 16, 255],
  ])("of %d GiB is %i/%i/%i", (sizeGiB, cylinders, heads, sectorsPerTrack) => {
    expect(geometryOf((sizeGiB * gib) / 512)).toEqual({
      cylinders,
      heads,
      sectorsPerTrack,
    });
  });
});
