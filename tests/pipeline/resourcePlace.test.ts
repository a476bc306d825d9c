/** Places of resources, by the names that the program itself gives them on all platforms. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { placeOf, placeRegions } from "../../infra/pipeline/resourcePlace.ts";
import {
  type DeclaredProject,
  makeDeclaredProject,
} from "../declaredProject.ts";

const definitions = ["*"];
const sections = {
  bucket: { name: "images-of-a-team", region: "eu-west-1" },
  ec2: {
    definitions,
    parameters: "/team",
    targets: {
      east: { region: "us-east-1", share: { accounts: ["123456789012"] } },
      "east-public": { region: "us-east-2", share: "public" },
      copy: { region: "us-west-2", copyFrom: "east" },
    },
  },
  gce: {
    definitions,
    targets: {
      main: {
        ...{ project: "first-project", bucket: "images-of-a-team" },
        ...{ storageLocation: "europe-west3", share: "public" },
      },
    },
  },
  azure: {
    definitions,
    places: {
      europe: {
        subscription: "00000000-0000-4000-8000-000000000001",
        ...{ resourceGroup: "images", location: "westeurope" },
        ...{ gallery: "debian", publisher: "Team" },
        storage: { account: "imagesofateam", container: "images" },
        regions: { westeurope: {}, northeurope: {} },
      },
    },
  },
  openstack: {
    definitions,
    clouds: {
      "cloud-a": { region: "RegionOne", format: "raw" },
      b: { format: "qcow2" },
    },
  },
};

let project: DeclaredProject;

beforeAll(async () => {
  project = await makeDeclaredProject();
});
afterAll(() => project?.remove());

test("each resource of a stack with every platform has its place", async () => {
  const { declared, error } = await project.declare({
    config: project.configWith(sections),
  });
  expect(error).toBeUndefined();
  const regions = placeRegions(sections);
  const found = declared.map(({ type, name }) => ({
    name,
    place: placeOf(
      `urn:pulumi:mine::cloud-images::${type}::${name}`,
      regions.names,
    ),
  }));
  expect(found.filter(({ place }) => place.kind === "other")).toEqual([]);

  const places = new Map<string, number>();
  for (const { name, place } of found) {
    if (place.kind !== "publication") continue;
    const { platform, place: which, definition, version } = place;
    // What has a key in its name is of that version, all else of none.
    expect([name, version?.key !== undefined]).toEqual([
      name,
      /-[0-9a-f]{12}-/.test(name),
    ]);
    if (definition !== undefined)
      expect(definition).toBe("debian-13-tiny-amd64");
    const id = [platform, which, ...regions.regionsOf(platform, which)]
      .filter(Boolean)
      .join(" ");
    places.set(id, (places.get(id) ?? 0) + 1);
  }
  expect([...places.keys()].sort()).toEqual([
    "azure europe westeurope northeurope",
    "bucket eu-west-1",
    "directory",
    "ec2 copy us-west-2",
    "ec2 east us-east-1",
    "ec2 east-public us-east-2",
    "gce main europe-west3",
    "openstack b",
    "openstack cloud-a RegionOne",
  ]);
});
