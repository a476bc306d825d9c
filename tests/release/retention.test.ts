import { describe, expect, it } from "vitest";
import type { ImageKey } from "../../infra/definitions/definition.ts";
import { olderVersions } from "../../infra/release/retention.ts";
import type { PublicationRecord } from "../../infra/store/records.ts";

const published = ["a", "c", "b", "d"].map(
  (key) =>
    ({ key, version: `20261121-${key}` }) as unknown as PublicationRecord,
);
const kept = (current: string, versions: number) =>
  olderVersions(current as ImageKey, published, versions).map(({ key }) => key);

describe("the older versions that stay", () => {
  it("are the newest ones, besides the newest key", () => {
    expect(kept("e", 3)).toEqual(["d", "c"]);
  });

  it("are decided the same way once the newest key is published", () => {
    expect(kept("d", 3)).toEqual(["c", "b"]);
  });

  it("are at least one", () => {
    expect(kept("e", 2)).toEqual(["d"]);
  });
});
