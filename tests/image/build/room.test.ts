import { expect, test } from "vitest";
import { BuildError } from "../../../infra/errors.ts";
import { requireRoom } from "../../../infra/image/build/room.ts";

test("a disk that is too small for its files is refused, with one that is not", () => {
  expect(() => requireRoom(1, 1200)).toThrow(BuildError);
  expect(() => requireRoom(1, 1200)).toThrow(
    "its files take 1200 MiB, and a disk of 1 GiB has room for 850 MiB: say disk.sizeGiB 2 or more in its definition, or take packages out.",
  );
});

test("a disk is large enough up to the size that the message of a smaller one names", () => {
  for (const filesMiB of [100, 850, 851, 1200, 1823, 1824, 30_000]) {
    const enough = smallest(filesMiB);
    expect(() => requireRoom(enough, filesMiB)).not.toThrow();
    if (enough === 1) continue;
    expect(() => requireRoom(enough - 1, filesMiB)).toThrow(
      `say disk.sizeGiB ${enough} or more`,
    );
  }
});

function smallest(filesMiB: number): number {
  for (let sizeGiB = 1; ; sizeGiB++) {
    try {
      requireRoom(sizeGiB, filesMiB);
      return sizeGiB;
    } catch {
      // One more.
    }
  }
}
