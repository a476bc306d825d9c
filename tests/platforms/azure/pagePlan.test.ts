import { expect, test } from "vitest";
import {
  joined,
  missingPuts,
  putBytes,
  putsOf,
  totalBytes,
} from "../../../infra/platforms/azure/pagePlan.ts";

test("data is sent in pieces of 4 MiB at most, in order and once", () => {
  const extents = [
    { start: 0, bytes: 2 * putBytes + 512 },
    { start: 10 * putBytes, bytes: 512 },
  ];
  const puts = putsOf(extents);
  expect(puts).toEqual([
    { start: 0, bytes: putBytes },
    { start: putBytes, bytes: putBytes },
    { start: 2 * putBytes, bytes: 512 },
    { start: 10 * putBytes, bytes: 512 },
  ]);
  expect(totalBytes(puts)).toBe(totalBytes(extents));
});

test("ranges that touch or overlap are one", () => {
  expect(
    joined([
      { start: 1024, bytes: 512 },
      { start: 0, bytes: 512 },
      { start: 512, bytes: 512 },
      { start: 4096, bytes: 1024 },
      { start: 4096, bytes: 512 },
    ]),
  ).toEqual([
    { start: 0, bytes: 1536 },
    { start: 4096, bytes: 1024 },
  ]);
});

test("what is there as a whole is not sent again, and what is there in part is", () => {
  const puts = [
    { start: 0, bytes: 1024 },
    { start: 1024, bytes: 1024 },
    { start: 8192, bytes: 512 },
    { start: 16384, bytes: 512 },
  ];
  const ranges = [
    { start: 0, bytes: 1536 },
    { start: 8192, bytes: 4096 },
  ];
  expect(missingPuts(puts, ranges)).toEqual([puts[1], puts[3]]);
  expect(missingPuts(puts, [])).toEqual(puts);
  expect(missingPuts(puts, [{ start: 0, bytes: 1 << 20 }])).toEqual([]);
});
