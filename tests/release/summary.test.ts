import { expect, it } from "vitest";
import { failureParagraph } from "../../infra/release/summary.ts";
import { definitionWith } from "../definitions/fixtures.ts";

it("says loudly that an image failed, though it was allowed to, and why", () => {
  expect(failureParagraph(definitionWith(), ["No network.", "No boot."])).toBe(
    `debian-13-tiny-amd64: FAILED, which its definition allows (allowFailure). What was published of it before stays.
  No network.
  No boot.`,
  );
});
