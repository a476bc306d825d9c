import { execa } from "execa";
import { describe, expect, it } from "vitest";
import {
  type Architecture,
  architectures,
} from "../../../infra/definitions/definition.ts";
import {
  diskIdentity,
  type Partitions,
  partitionsOf,
  sfdiskScript,
} from "../../../infra/image/build/partitions.ts";

const identity = diskIdentity("some key");

/** In the order of their sectors. */
function inOrder({ bios, prep, esp, root }: Partitions) {
  return [bios, prep, esp, root].filter((each) => each !== undefined);
}

describe("the identity of a disk", () => {
  it("is the same for the same key, and another for another", () => {
    expect(diskIdentity("some key")).toEqual(identity);
    expect(diskIdentity("another").rootFsUuid).not.toBe(identity.rootFsUuid);
  });

  it("has no identifier twice, and all of them in the form of a UUID of version 8", () => {
    const { espVolumeId, ...uuids } = identity;
    expect(new Set(Object.values(uuids)).size).toBe(6);
    expect(espVolumeId).toMatch(/^[0-9a-f]{8}$/);
    for (const uuid of Object.values(uuids)) {
      expect(uuid).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    }
  });
});

describe.each(architectures)(
  "the partitions of a disk for %s",
  (architecture) => {
    it.each([1, 2, 3, 10, 100])(
      "follow each other and leave room for the second table on %i GiB",
      (sizeGiB) => {
        const all = inOrder(partitionsOf(architecture, sizeGiB, identity));
        const ends = all.map(
          ({ startSector, sectors }) => startSector + sectors,
        );
        expect(all.map(({ startSector }) => startSector)).toEqual([
          2048,
          ...ends.slice(0, -1),
        ]);
        const diskSectors = (sizeGiB * 1024 ** 3) / 512;
        const end = ends.at(-1) ?? 0;
        expect(end).toBeLessThanOrEqual(diskSectors - 33);
        expect(end % 2048).toBe(0);
        expect(diskSectors - end).toBeLessThan(2 * 2048 + 33);
      },
    );
  },
);

it.each<[Architecture, readonly string[]]>([
  ["amd64", ["BIOS boot", "EFI System", "Linux root (x86-64)"]],
  ["arm64", ["EFI System", "Linux root (ARM-64)"]],
  ["ppc64el", ["PowerPC PReP boot", "Linux root (PPC64LE)"]],
  ["riscv64", ["EFI System", "Linux root (RISC-V-64)"]],
])(
  "sfdisk knows the types of the partitions for %s",
  async (architecture, names) => {
    const { stdout } = await execa(
      "sfdisk",
      ["--label", "gpt", "--list-types"],
      {
        env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
      },
    );
    const known = new Map(
      stdout
        .split("\n")
        .map((line) => /^([0-9A-F-]{36})\s+(.+)$/.exec(line.trim()))
        .map((match) => [match?.[1], match?.[2]]),
    );
    const all = inOrder(partitionsOf(architecture, 3, identity));
    expect(all.map(({ typeUuid }) => known.get(typeUuid))).toEqual(names);
  },
);

it("partitions are written with their numbers, types and UUIDs", () => {
  expect(
    sfdiskScript(identity, partitionsOf("ppc64el", 3, identity)).split("\n"),
  ).toEqual([
    "label: gpt",
    `label-id: ${identity.diskUuid}`,
    "unit: sectors",
    `15 : start=2048, size=6144, type=9E1A2D38-C612-4316-AA26-8B49521E5A8B, uuid=${identity.prepPartUuid}, name=prep`,
    `1 : start=8192, size=6281216, type=C31C45E6-3F39-412E-80FB-4809C4980599, uuid=${identity.rootPartUuid}, name=root`,
    "",
  ]);
});
