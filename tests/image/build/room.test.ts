import { expect, test } from "vitest";
import { missingRoom } from "../../../infra/image/build/room.ts";

test("a disk that is too small for its files is refused, with one that is not", () => {
  expect(missingRoom(1, 1199.5)).toBe(
    "take 1200 MiB, and a disk of 1 GiB has room for 850 MiB: say disk.sizeGiB 2 or more in its definition, or take packages out.",
  );
});

test("a disk is large enough up to the size that the message of a smaller one names", () => {
  for (const filesMiB of [100, 850, 851, 1200, 1823, 1824, 30_000]) {
    let enough = 1;
    while (missingRoom(enough, filesMiB) !== undefined) enough++;
    if (enough === 1) continue;
    expect(missingRoom(enough - 1, filesMiB)).toContain(
      `say disk.sizeGiB ${enough} or more`,
    );
  }
});
