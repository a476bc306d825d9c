import { describe, expect, it } from "vitest";
import type {
  ImageKey,
  ImageVersion,
} from "../../infra/definitions/definition.ts";
import {
  newestKeys,
  parseReleaseKeys,
  releaseLine,
} from "../../infra/pipeline/releaseKeys.ts";
import type { PublicationRecord } from "../../infra/store/records.ts";
import { sampleDefinition } from "../store/records.ts";

const key = (digit: string) => digit.repeat(64) as ImageKey;
const record = (version: string, digit: string, variant = "ec2") =>
  ({
    definition: sampleDefinition({ variant }),
    version: version as ImageVersion,
    key: key(digit),
  }) as PublicationRecord;

describe("the keys of a release", () => {
  it("are those of the newest version of each image, wherever it is", () => {
    const newest = newestKeys([
      ...[record("20261120-0100", "1"), record("20261121-0100", "2")],
      ...[record("20261119-0100", "3"), record("20261101-0100", "4", "gce")],
    ]);
    expect([...newest.values()].map((each) => each.key)).toEqual([
      ...[key("2"), key("4")],
    ]);
  });

  it("come out of the variable as they went in", () => {
    const keys = [key("1"), key("a")];
    const [name, value = ""] = releaseLine(keys).trimEnd().split("=");
    expect(name).toBe("CLOUD_IMAGES_RELEASE_KEYS");
    expect(parseReleaseKeys(value)).toEqual(keys);
  });

  it.each(["", "1234", `${key("1")},`, `${key("1")} ; id`, `--${key("1")}`])(
    "are nothing else: %j",
    (text) => {
      expect(() => parseReleaseKeys(text)).toThrow("is no list of image keys");
    },
  );

  it("are refused where there are none, or more than a variable carries", () => {
    expect(() => releaseLine([])).toThrow("published nothing yet");
    expect(() => releaseLine(Array(78).fill(key("1")))).not.toThrow();
    expect(() => releaseLine(Array(79).fill(key("1")))).toThrow("5 KB");
  });
});
