import { describe, expect, it } from "vitest";
import type { ImageVersion } from "../../infra/definitions/definition.ts";
import { freeVersion } from "../../infra/image/version.ts";

const moment = new Date("2026-11-21T23:59:58Z");

describe("a version", () => {
  it("is the day and the minute, in UTC", () => {
    expect(freeVersion(moment, [])).toBe("20261121-2359");
  });

  it("is not given twice", () => {
    const taken = ["20261121-2359", "20261122-0000"] as ImageVersion[];
    expect(freeVersion(moment, taken)).toBe("20261122-0001");
  });
});
