import { describe, expect, it } from "vitest";
import { subordinateIds } from "../../../infra/image/build/preconditions.ts";

describe("the subordinate ids of a user", () => {
  const file = "root:100000:65536\nbuilder:165536:1000\n1001:200000:65536\n";

  it("are found by name and by number", () => {
    expect(subordinateIds(file, "root", 0)).toBe(65_536);
    expect(subordinateIds(file, "other", 1001)).toBe(65_536);
  });

  it("may be too few, or none", () => {
    expect(subordinateIds(file, "builder", 1000)).toBe(1000);
    expect(subordinateIds(file, "nobody", 65_534)).toBe(0);
    expect(subordinateIds("", "root", 0)).toBe(0);
  });
});
