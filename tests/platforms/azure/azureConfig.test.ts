import { describe, expect, it } from "vitest";
import type {
  DefinitionName,
  ImageKey,
  ImageVersion,
} from "../../../infra/definitions/definition.ts";
import { azureConfigSchema } from "../../../infra/platforms/azure/azureConfig.ts";
import {
  blobName,
  endOfLife,
  galleryImageName,
  galleryVersionId,
  galleryVersionName,
} from "../../../infra/platforms/azure/azureNames.ts";

const place = {
  subscription: "01234567-89ab-cdef-0123-456789abcdef",
  resourceGroup: "images",
  location: "westeurope",
  gallery: "debian",
  publisher: "Team",
  storage: { account: "teamimages", container: "disks" },
};

function complaints(changes: object, more: object = {}) {
  const parsed = azureConfigSchema.safeParse({
    places: { europe: { ...place, ...changes } },
    ...more,
  });
  return parsed.error?.issues.map(({ path }) => path.join(".")) ?? [];
}

describe("a place in Azure", () => {
  it("is taken as the documentation shows it", () => {
    expect(complaints({})).toEqual([]);
    expect(
      complaints({ regions: { westeurope: { replicas: 3 }, eastus2: {} } }),
    ).toEqual([]);
  });

  it.each([
    ["location", "westeuropa"],
    ["gallery", "my-gallery"],
    ["gallery", "debian."],
    ["resourceGroup", "images."],
    ["subscription", "mine"],
    ["publisher", "The Team"],
    ["securityType", "TrustedLaunch"],
  ])("cannot have the %s %s", (field, value) => {
    expect(complaints({ [field]: value })).toEqual([`places.europe.${field}`]);
  });

  it("has misspelt regions refused by name, and its own location among them", () => {
    expect(complaints({ regions: { westeurope: {}, estus: {} } })[0]).toMatch(
      /^places\.europe\.regions/,
    );
    expect(complaints({ regions: { eastus: {} } })).toEqual([
      "places.europe.regions",
    ]);
  });

  it("does not share a gallery with another one", () => {
    const parsed = azureConfigSchema.safeParse({
      places: { one: place, two: { ...place, gallery: "Debian" } },
    });
    expect(parsed.error?.issues[0]?.path).toEqual(["places", "two", "gallery"]);
  });

  it("does not offer an existing gallery to everybody", () => {
    const community = {
      ...{ publicNamePrefix: "teamimages", eula: "https://team.example" },
      publisherUri: "https://team.example",
      publisherContact: "images@team.example",
    };
    expect(complaints({ community })).toEqual([]);
    expect(complaints({ community, existingGallery: true })).toEqual([
      "places.europe.community",
    ]);
  });
});

describe("names in Azure", () => {
  const definition = "debian-13-azure-amd64" as DefinitionName;
  const version = "20261121-0312" as ImageVersion;

  it("have the channel in the image definition, and three numbers in the version", () => {
    const of = (channel: "daily" | "release") =>
      galleryImageName({ definition, channel });
    expect(of("release")).toBe("debian-13-azure-amd64");
    expect(of("daily")).toBe("debian-13-azure-amd64-daily");
    expect(galleryVersionName(version)).toBe("0.20261121.312");
    expect(
      galleryVersionId(place, { definition, channel: "release" }, version),
    ).toBe(
      `/subscriptions/${place.subscription}/resourceGroups/images/providers/Microsoft.Compute/galleries/debian/images/debian-13-azure-amd64/versions/0.20261121.312`,
    );
  });

  it("are refused when they are too long", () => {
    const long = `debian-13-${"x".repeat(70)}` as DefinitionName;
    expect(() =>
      galleryImageName({ definition: long, channel: "daily" }),
    ).toThrow("80 characters");
  });

  it("tell blobs of two builds apart", () => {
    const of = (digit: string) =>
      blobName(
        {
          ...{ definition, channel: "daily", place: "europe" },
          key: digit.repeat(64) as ImageKey,
        },
        version,
      );
    expect(of("a")).toBe(
      "europe/debian-13-azure-amd64-daily-20261121-0312-aaaaaaaaaaaa.vhd",
    );
    expect(of("a")).not.toBe(of("b"));
  });

  it("count a version's life from its day", () => {
    expect(endOfLife(version, 10)).toBe("2026-12-01T00:00:00.000Z");
  });
});
