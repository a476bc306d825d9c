import { expect, test } from "vitest";
import { slopeMs, slopesMs } from "../../benchmarks/manyDefinitions.ts";

const line = [50, 100, 200].map((images) => ({
  images,
  seconds: 2 + images * 0.025,
}));

test("what each further image costs does not depend on what the first one does", () => {
  expect(slopeMs(line)).toBe(25);
  expect(slopesMs(line)).toEqual([25, 25]);
});

test("growth that is no line shows between the steps", () => {
  const bent = [...line, { images: 400, seconds: 22 }];
  expect(slopesMs(bent)).toEqual([25, 25, 75]);
  expect(slopeMs(bent)).toBeGreaterThan(25);
});

test("one preview has no slope", () => {
  expect(slopeMs(line.slice(0, 1))).toBe(0);
  expect(slopesMs(line.slice(0, 1))).toEqual([]);
});
