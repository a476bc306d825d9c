/** What is told apart from what is still wanted, of what a killed run had begun. */

import { describe, expect, it } from "vitest";
import { providerText } from "../../infra/dynamic/provider.ts";
import { abandonedIn } from "../../infra/platforms/abandoned.ts";

const images = "platforms/gce/gceImageProvider.ts";
const snapshots = "platforms/ec2/ebsSnapshotProvider.ts";

function resource(name: string, module: string, inputs: object) {
  return {
    urn: `urn:pulumi:mine::cloud-images::${module}::${name}`,
    type: `pulumi-nodejs:dynamic/platforms:${module}`,
    inputs: { ...inputs, __provider: providerText(module) },
  };
}

const whole = {
  ...{ stack: "organization/cloud-images/mine", key: "a", channel: "daily" },
  ...{ definition: "debian-13", place: "one", access: { project: "p" } },
};
const begun = resource("image-a", images, whole);

function found(resources: object[], pending: object[], type = "creating") {
  const pending_operations = pending.map((resource) => ({ type, resource }));
  return abandonedIn({ deployment: { resources, pending_operations } });
}

describe("what a killed run had begun", () => {
  it("is abandoned when the state does not have it", () => {
    const other = resource("image-b", images, { ...whole, key: "b" });
    const abandoned = { module: images, inputs: begun.inputs };
    expect(found([other], [begun])).toEqual([abandoned]);
    expect(found([other], [begun, begun])).toEqual([abandoned]);
    expect(found([], [begun], "deleting")).toEqual([]);
    expect(abandonedIn({ deployment: null })).toEqual([]);
  });

  it("is kept when a later run made it, by whatever name and access", () => {
    expect(found([begun], [begun])).toEqual([]);
    const renamed = resource("renamed", images, {
      ...whole,
      access: { project: "p", serviceAccount: "s" },
    });
    expect(found([renamed], [begun])).toEqual([]);
  });

  it("is kept in EC2 when another place may have the same one", () => {
    const snapshot = { ...whole, amiName: "debian-13-daily-1" };
    const one = resource("a-one", snapshots, snapshot);
    const two = resource("a-two", snapshots, { ...snapshot, place: "two" });
    expect(found([two], [one])).toEqual([]);
    expect(found([], [one])).toHaveLength(1);
  });

  it("is left alone when it is something else", () => {
    const record = resource("record", "platforms/ec2/amiRecordProvider.ts", {});
    const foreign = {
      urn: "x",
      type: "aws:ec2/ami:Ami",
      inputs: { name: "x" },
    };
    const strange = resource("x", "../../../tmp/x.ts", {});
    expect(found([], [record, foreign, strange])).toEqual([]);
  });
});
