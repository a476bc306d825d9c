import { describe, expect, it } from "vitest";
import type { DefinitionName } from "../../infra/definitions/definition.ts";
import { UserError } from "../../infra/errors.ts";
import {
  type FormatNeed,
  neededFormats,
  requirePossibleFormats,
} from "../../infra/release/neededFormats.ts";
import { formats } from "../../infra/store/records.ts";
import { definitionWith } from "../definitions/fixtures.ts";

const takes = () => true;
const site: FormatNeed = {
  ...{ formatsField: "site.formats", formats: ["vhd", "qcow2"] },
  takes,
};
const cloud: FormatNeed = {
  ...{ formatsField: "cloud", formats: ["tar.gz", "qcow2"] },
  takes,
};

describe("the formats that are needed", () => {
  it("are those of all platforms, each once, in one order", () => {
    expect(neededFormats([site, cloud])).toEqual(["qcow2", "tar.gz", "vhd"]);
    expect(neededFormats([cloud, site])).toEqual(neededFormats([site, cloud]));
  });

  it("are none when nobody asks for any", () => {
    expect(neededFormats([])).toEqual([]);
  });
});

describe("formats that an image cannot have", () => {
  const ofSize = (name: string, sizeGiB: number) =>
    definitionWith({ name: name as DefinitionName, disk: { sizeGiB } });
  const refusal = (...sizes: number[]) => {
    const definitions = sizes.map((size) => ofSize(`disk-of-${size}`, size));
    try {
      requirePossibleFormats("mine", [cloud, site], definitions);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  };

  it("are none up to the largest disk that a VHD holds", () => {
    expect(refusal(1, 3, 2040)).toBeUndefined();
  });

  it("are named with field, image, limit and cure, one on each line", () => {
    const error = refusal(3, 2041, 2048);
    expect(error).toBeInstanceOf(UserError);
    expect(error?.message.split("\n")).toEqual([
      "Pulumi.mine.yaml: site.formats asks for vhd, which disk-of-2041 cannot have: it holds disks of 2040 GiB at most, and disk.sizeGiB is 2041. " +
        "Take vhd out of the list, the image out of cloud-images:definitions, or give it a smaller disk in image-definitions/.",
      expect.stringMatching(/ disk-of-2048 cannot have: .* is 2048\. /),
    ]);
  });

  it("are no matter for images that do not go there", () => {
    const large = ofSize("large", 2048);
    requirePossibleFormats("mine", [{ ...site, takes: () => false }], [large]);
  });

  it("are none of the others, whatever the size", () => {
    const others = formats.filter((format) => format !== "vhd");
    const need = { formatsField: "all", formats: others, takes };
    requirePossibleFormats("mine", [need], [ofSize("large", 2048)]);
  });
});
