import { describe, expect, test } from "vitest";
import type {
  DefinitionName,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import { gceConfigSchema } from "../../../infra/platforms/gce/gceConfig.ts";
import {
  featuresOf,
  imageNameOf,
  labelValue,
  resourceName,
} from "../../../infra/platforms/gce/gceNames.ts";
import { sampleDefinition } from "../../store/records.ts";

const name = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;

describe("names", () => {
  test("stay as they are where Compute Engine takes them", () => {
    expect(
      imageNameOf(
        {
          definition: "debian-13-gce-amd64" as DefinitionName,
          channel: "daily",
        },
        "20261121-1" as ImageVersion,
      ),
    ).toBe("debian-13-gce-amd64-daily-20261121-1");
  });

  test("are cut and spelt so that two of them stay two", () => {
    const texts = ["x", "y"].flatMap((end) => [
      `${"long-".repeat(20)}${end}`,
      `13.1-${end}`,
      `A.${end}`,
      `A-${end}`,
      `a.${end}-`,
      "-".repeat(62) + end,
    ]);
    const names = texts.map(resourceName);
    for (const each of names) expect(each).toMatch(name);
    expect(new Set(names).size).toBe(texts.length);
    const values = texts.map(labelValue);
    for (const each of values) expect(each).toMatch(/^[a-z0-9_-]{1,63}$/);
    expect(new Set(values).size).toBe(texts.length);
  });
});

test("machines are told nothing of processors that they do not have", () => {
  const amd64 = sampleDefinition();
  const confidential = ["CCA_CAPABLE", "TDX_CAPABLE"] as const;
  expect(featuresOf(amd64, confidential)).not.toContain("CCA_CAPABLE");
  expect(featuresOf({ ...amd64, architecture: "arm64" }, confidential)).toEqual(
    ["CCA_CAPABLE", "UEFI_COMPATIBLE"],
  );
  expect(featuresOf(amd64)).toContain("SEV_CAPABLE");
  expect(featuresOf({ ...amd64, architecture: "arm64" })).toEqual([
    ...["GVNIC", "UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE"],
  ]);
});

describe("the configuration", () => {
  const target = { project: "some-project", bucket: "a-bucket" };
  const parse = (changes: object) =>
    gceConfigSchema.safeParse({ targets: { one: target }, ...changes });

  test("has a usual value for all but the project and the bucket", () => {
    expect(parse({}).success).toBe(true);
  });

  test.each([
    { targets: {} },
    { targets: { one: { ...target, project: "Some Project" } } },
    { targets: { one: { ...target, bucket: "gs://a-bucket" } } },
    { targets: { one: { ...target, storageLocation: "europe" } } },
    { targets: { one: { ...target, share: { members: ["allUsers"] } } } },
    { targets: { one: target, two: target } },
    { labels: { "cloud-images-key": "x" } },
    { labels: { Team: "x" } },
    { labels: { team: "Images" } },
    { guestOsFeatures: ["WINDOWS"] },
    { licenses: ["gpl"] },
  ])("refuses %j", (changes) => {
    expect(parse(changes).success).toBe(false);
  });
});
