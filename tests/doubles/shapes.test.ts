import { expect, test } from "vitest";
import { amiKind } from "./aws/images.ts";
import { parameterKind } from "./aws/parameter.ts";
import { shapes } from "./aws/shapes.ts";
import type { Properties } from "./values.ts";

const ami = { name: "debian", rootDeviceName: "/dev/xvda" };

test.each<[string, Properties, string]>([
  ["unknown names", { ...ami, nme: "x" }, "nme"],
  [
    "unknown names inside objects",
    { ...ami, ebsBlockDevices: [{ deviceName: "/dev/xvda", size: 8 }] },
    "ebsBlockDevices[0].size",
  ],
  [
    "missing names inside objects",
    { ...ami, ebsBlockDevices: [{ volumeSize: 8 }] },
    "ebsBlockDevices[0].deviceName",
  ],
  ["texts for truth values", { ...ami, enaSupport: "yes" }, "enaSupport"],
  ["numbers for tags", { ...ami, tags: { a: 1 } }, "tags.a"],
])("inputs are refused that have %s", (_case, inputs, property) => {
  expect(shapes.misfits(amiKind.shape, inputs)).toMatchObject([{ property }]);
});

test("inputs that a resource needs are missed", () => {
  expect(
    shapes.misfits(parameterKind.shape, { name: "/a", value: "b" }),
  ).toEqual([{ property: "type", reason: "Missing required argument" }]);
});

test.each(["ab", "a".repeat(129), "debian:13", "debian\n13", "Débian"])(
  "the AMI name %j is refused",
  (name) => {
    expect(amiKind.check?.({ ...ami, name })).toMatchObject([
      { property: "name" },
    ]);
  },
);

test.each(["debian-13-amd64 (daily) [1]", "a.b/c'd@e_f"])(
  "the AMI name %j is taken",
  (name) => {
    expect(amiKind.check?.({ ...ami, name })).toEqual([]);
  },
);

test.each([
  "/aws/latest",
  "SSM-x",
  "/a//b",
  "/a b",
  "/",
  `/${"a/".repeat(15)}b`,
])("the parameter name %j is refused", (name) => {
  expect(
    parameterKind.check?.({ name, type: "String", value: "x" }),
  ).toMatchObject([{ property: "name" }]);
});
