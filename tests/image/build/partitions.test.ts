import { describe, expect, it } from "vitest";
import {
  diskIdentity,
  partitionsOf,
  sfdiskScript,
} from "../../../infra/image/build/partitions.ts";

const identity = diskIdentity("some key");

describe("the identity of a disk", () => {
  it("is the same for the same key, and another for another", () => {
    expect(diskIdentity("some key")).toEqual(identity);
    expect(diskIdentity("another").rootFsUuid).not.toBe(identity.rootFsUuid);
  });

  it("has no identifier twice, and all of them in the form of a UUID of version 8", () => {
    const { espVolumeId, ...uuids } = identity;
    expect(new Set(Object.values(uuids)).size).toBe(5);
    expect(espVolumeId).toMatch(/^[0-9a-f]{8}$/);
    for (const uuid of Object.values(uuids)) {
      expect(uuid).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    }
  });
});

describe("the partitions of a disk", () => {
  it.each([1, 2, 3, 10, 100])(
    "follow each other and leave room for the second table on %i GiB",
    (sizeGiB) => {
      const { bios, esp, root } = partitionsOf(sizeGiB, identity);
      expect(bios.startSector + bios.sectors).toBe(esp.startSector);
      expect(esp.startSector + esp.sectors).toBe(root.startSector);
      const diskSectors = (sizeGiB * 1024 ** 3) / 512;
      const end = root.startSector + root.sectors;
      expect(end).toBeLessThanOrEqual(diskSectors - 33);
      expect(end % 2048).toBe(0);
      expect(diskSectors - end).toBeLessThan(2 * 2048 + 33);
    },
  );

  it("are written with their numbers, types and UUIDs", () => {
    const { root } = partitionsOf(3, identity);
    expect(sfdiskScript(identity, [root]).split("\n")).toEqual([
      "label: gpt",
      `label-id: ${identity.diskUuid}`,
      "unit: sectors",
      `1 : start=262144, size=6027264, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=${identity.rootPartUuid}, name=root`,
      "",
    ]);
  });
});
