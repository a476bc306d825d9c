/** What the program declares of images on their way to clouds, as an engine hears it. */

import { beforeEach, describe, expect, it } from "vitest";
import {
  type Declaration,
  type Declared,
  type DeclaredProject,
  makeDeclaredProject,
} from "../../declaredProject.ts";

const openstack = {
  definitions: ["*"],
  clouds: {
    ceph: { format: "raw", visibility: "shared", projects: ["a".repeat(32)] },
    swift: {
      ...{ cloud: "other", region: "North", format: "qcow2" },
      properties: { hw_firmware_type: "uefi" },
    },
  },
};

let project: DeclaredProject;
beforeEach(async () => {
  project = await makeDeclaredProject();
  return () => project.remove();
});

function declare(
  changes: Parameters<DeclaredProject["declare"]>[0] = {},
  section: object = openstack,
): Promise<Declaration> {
  return project.declare({
    config: project.configWith({ directory: undefined, openstack: section }),
    ...changes,
  });
}

function one({ declared }: Declaration, end: string): Declared {
  const [found] = declared.filter(({ name }) => name.endsWith(end));
  return found ?? expect.fail(`There is no ${end}.`);
}

describe("an image on its way to OpenStack", () => {
  it("goes to each cloud in the form that it has there, after its boot checks", async () => {
    const imageId = "11111111-2222-8333-8444-555555555555";
    const declaration = await declare({ preview: false, outputs: { imageId } });
    expect(declaration.error).toBeUndefined();
    const [ceph, swift] = [
      one(declaration, "-openstack-ceph"),
      one(declaration, "-openstack-swift"),
    ];
    expect(ceph.inputs).toMatchObject({
      ...{ place: "ceph", access: { cloud: "ceph" }, format: "raw" },
      ...{ visibility: "shared", members: ["a".repeat(32)], minDiskGiB: 3 },
      properties: { hw_firmware_type: "bios", architecture: "x86_64" },
    });
    expect(swift.inputs).toMatchObject({
      ...{ place: "swift", access: { cloud: "other", region: "North" } },
      ...{ format: "qcow2", visibility: "private", members: [] },
      properties: { hw_firmware_type: "uefi" },
      ...{ atOnce: { inCloud: 2, inAll: 8 }, waitSeconds: 300 },
    });
    const depends = ({ dependencies }: Declared) =>
      dependencies.map((name) => name.replace(/^.*amd64-[0-9a-f]{12}-/, ""));
    expect(depends(ceph)).not.toContain("qcow2");
    expect(depends(swift)).toContain("qcow2");
    for (const image of [ceph, swift]) {
      expect(depends(image)).toEqual(
        expect.arrayContaining(["boot-bios", "boot-uefi"]),
      );
    }
    const newest = one(declaration, "-openstack-swift-newest");
    expect(newest.dependencies).toEqual(expect.arrayContaining([swift.name]));
    expect(newest.inputs).toMatchObject({ imageId, place: "swift" });
    expect(declaration.summary).toContain(
      `Glance:   ${imageId} (debian-13-tiny-amd64-daily) in swift`,
    );
  });

  it("is not sent when it failed and may", async () => {
    await project.setVariant({ allowFailure: true });
    const declaration = await declare({
      preview: false,
      outputs: { failures: ["It does not boot."], sha256: "0".repeat(64) },
    });
    expect(one(declaration, "-openstack-swift").inputs.sha256).toBeUndefined();
    expect(declaration.summary).toContain(
      "FAILED, which its definition allows",
    );
  });

  it.each<[string, object, RegExp]>([
    [
      "members of what is private",
      { projects: ["a".repeat(32)] },
      /openstack\.clouds\.one\.visibility: must be shared/,
    ],
    [
      "what is shared with nobody",
      { visibility: "shared" },
      /openstack\.clouds\.one\.projects: must name/,
    ],
    [
      "properties that are ours",
      { properties: { cloud_images_key: "x" } },
      /openstack\.clouds\.one\.properties\.cloud_images_key: cannot be set/,
    ],
    ["no form", { format: undefined }, /openstack\.clouds\.one\.format: /],
    [
      "a password",
      { password: "secret" },
      /openstack\.clouds\.one\.password: no such field/,
    ],
  ])("refuses %s", async (_what, target, message) => {
    const declaration = await declare(
      {},
      { clouds: { one: { format: "raw", ...target } } },
    );
    expect(declaration.error).toMatch(message);
  });
});
