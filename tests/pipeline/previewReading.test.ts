/** What is made of the engine's previews, without an engine: places of all platforms, changes, secrets, bounds. */

import { expect, test } from "vitest";
import { GitlabError, PreviewError } from "../../infra/errors.ts";
import { parseDigest } from "../../infra/pipeline/engineDigest.ts";
import { securePaths } from "../../infra/pipeline/openConfig.ts";
import { previewDocumentSchema } from "../../infra/pipeline/previewDocument.ts";
import { previewDocument } from "../../infra/pipeline/previewReading.ts";
import { redaction } from "../../infra/pipeline/redaction.ts";
import { placeOf, placeRegions } from "../../infra/pipeline/resourcePlace.ts";

const label = "debian-13-ec2-amd64-0123456789ab";
const version = { definition: "debian-13-ec2-amd64", key: "0123456789ab" };
const config = {
  bucket: { region: "eu-west-1" },
  ec2: {
    targets: {
      frankfurt: { region: "eu-central-1" },
      "frankfurt-public": { region: "eu-central-2" },
    },
  },
  gce: { targets: { main: { storageLocation: "europe-west3" } } },
  azure: {
    places: {
      europe: {
        location: "westeurope",
        regions: { westeurope: {}, northeurope: { replicas: 2 } },
      },
    },
  },
  openstack: { clouds: { "cloud-a": { region: "RegionOne" }, b: {} } },
};
const regions = placeRegions(config);

const urn = (type: string, name: string) =>
  `urn:pulumi:prod::cloud-images::cloud-images:release:ImageVersion$${type}::${name}`;

test.each([
  [
    "pulumi-nodejs:dynamic/platforms:DirectoryPublication",
    "directory",
    "directory",
    undefined,
    [],
  ],
  [
    "pulumi-nodejs:dynamic/platforms:BucketPublication",
    "bucket",
    "bucket",
    undefined,
    ["eu-west-1"],
  ],
  [
    "aws:ec2/ami:Ami",
    "ec2-frankfurt-ami",
    "ec2",
    "frankfurt",
    ["eu-central-1"],
  ],
  [
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
    "ec2-frankfurt-public",
    "ec2",
    "frankfurt-public",
    ["eu-central-2"],
  ],
  [
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
    "ec2-frankfurt-public-public",
    "ec2",
    "frankfurt-public",
    ["eu-central-2"],
  ],
  ["cloud-images:ec2:Ec2Publication", "ec2-elsewhere", "ec2", "elsewhere", []],
  [
    "pulumi-nodejs:dynamic/gce:GceImage",
    "gce-main",
    "gce",
    "main",
    ["europe-west3"],
  ],
  [
    "azure-native:compute:GalleryImageVersion",
    "azure-europe-version",
    "azure",
    "europe",
    ["westeurope", "northeurope"],
  ],
  [
    "pulumi-nodejs:dynamic/openstack:GlanceImage",
    "openstack-cloud-a",
    "openstack",
    "cloud-a",
    ["RegionOne"],
  ],
  [
    "pulumi-nodejs:dynamic/openstack:GlanceImage",
    "openstack-b",
    "openstack",
    "b",
    [],
  ],
] as const)("%s …-%s is a publication", (type, end, platform, place, known) => {
  const found = placeOf(urn(type, `${label}-${end}`), regions.names);
  expect(found).toEqual({
    ...{ kind: "publication", version, platform, place },
    definition: version.definition,
  });
  expect(regions.regionsOf(platform, place)).toEqual(known);
});

test.each([
  [
    "pulumi-nodejs:dynamic/image:FaiImage",
    `${label}-image`,
    { kind: "image", version },
  ],
  [
    "pulumi-nodejs:dynamic/image:BootCheck",
    `${label}-boot-uefi-secure-boot`,
    { kind: "image", version },
  ],
  ["cloud-images:release:ImageVersion", label, { kind: "version", version }],
  [
    "gitlab:index/projectVariable:ProjectVariable",
    "gitlab-release-variable-X",
    { kind: "gitlab", part: "release" },
  ],
  ["aws:autoscaling/group:Group", "merge-amd64", { kind: "machine" }],
  ["aws:ec2/instance:Instance", "release-amd64", { kind: "machine" }],
  ["pulumi:providers:aws", "aws-frankfurt", { kind: "provider" }],
  [
    "pulumi-nodejs:dynamic/runners:RunnerHealth",
    "runner-merge-amd64-health",
    { kind: "runner" },
  ],
  ["aws:s3/bucket:Bucket", "something", { kind: "other" }],
])("%s %s is not", (type, name, expected) => {
  expect(placeOf(urn(type, name), regions.names)).toEqual(expected);
});

test("what names the newest version belongs to none", () => {
  expect(
    placeOf(
      urn(
        "aws:ssm/parameter:Parameter",
        "debian-13-ec2-amd64-ec2-frankfurt-latest",
      ),
      regions.names,
    ),
  ).toMatchObject({
    ...{ kind: "publication", version: undefined, place: "frankfurt" },
    definition: "debian-13-ec2-amd64",
  });
});

/** A preview of the engine's with these steps. */
function digestOf(
  steps: readonly (readonly [
    op: string,
    type: string,
    name: string,
    inputs?: object,
  ])[],
  diagnostics: readonly object[] = [],
) {
  return parseDigest(
    `warning: something first\n${JSON.stringify(
      {
        steps: steps.map(([op, type, name, inputs = {}]) => {
          const state = { urn: urn(type, name), type, custom: true, inputs };
          return {
            ...{ op, urn: urn(type, name), detailedDiff: null },
            ...(op === "create" ? { newState: state } : { oldState: state }),
          };
        }),
        ...{
          diagnostics,
          duration: 1,
          changeSummary: { create: 3, delete: 1 },
        },
      },
      undefined,
      4,
    )}\nerror: something after`,
  );
}

const disk = { definition: { disk: { sizeGiB: 8 } } };

function documentOf(digest: ReturnType<typeof digestOf>, env = {}) {
  const document = previewDocument({
    ...{ stack: "prod", state: "target", leftOut: [], digest, config },
    ...{ isComplete: true, failure: undefined, unexplained: undefined },
    ...{ explanations: [], packages: [], redact: redaction(env) },
  });
  return previewDocumentSchema.parse(document);
}

test("parts of a publication are one line of it, and images have their disks' sizes", () => {
  const document = documentOf(
    digestOf([
      ["create", "cloud-images:release:ImageVersion", label],
      [
        "create",
        "pulumi-nodejs:dynamic/image:FaiImage",
        `${label}-image`,
        disk,
      ],
      [
        "create",
        "pulumi-nodejs:dynamic/ec2:EbsSnapshot",
        `${label}-ec2-frankfurt-snapshot`,
      ],
      ["create", "aws:ec2/ami:Ami", `${label}-ec2-frankfurt-ami`],
      ["same", "pulumi-nodejs:dynamic/gce:GceImage", `${label}-gce-main`],
      [
        "delete",
        "aws:ec2/ami:Ami",
        `${label}-ec2-elsewhere-ami`,
        { region: "us-east-1" },
      ],
      ["update", "aws:ec2/ami:Ami", `${label}-ec2-frankfurt-public-ami`],
      [
        "create",
        "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
        `${label}-ec2-frankfurt-public-public`,
      ],
      [
        "replace",
        "pulumi-nodejs:dynamic/openstack:GlanceImage",
        `${label}-openstack-b`,
      ],
      [
        "create",
        "aws:autoscaling/group:Group",
        "merge-amd64",
        { maxSize: 4, userData: "password" },
      ],
    ]),
  );
  expect(document.versions).toEqual([
    { ...version, change: "appears", sizeGiB: 8 },
  ]);
  expect(
    document.publications.map(({ place, change, regions }) => ({
      ...{ place, change, regions },
    })),
  ).toEqual([
    { place: "frankfurt", change: "appears", regions: ["eu-central-1"] },
    { place: "elsewhere", change: "goes", regions: ["us-east-1"] },
    { place: "frankfurt-public", change: "changes", regions: ["eu-central-2"] },
    { place: "b", change: "replaced", regions: [] },
  ]);
  expect(document.machines).toEqual([
    {
      ...{ type: "aws:autoscaling/group:Group", name: "merge-amd64" },
      ...{ change: "appears", properties: [], most: 4 },
    },
  ]);
  expect(JSON.stringify(document)).not.toContain("password");
});

test("secrets in messages are replaced: those of the environment, of known forms, in addresses", () => {
  const { problems } = documentOf(
    digestOf(
      [],
      [
        {
          severity: "error",
          message:
            "error: hunter2hunter2 glpat-abcdefghij0123456789 https://me:word@host.example/x?private_token=abc&a=b AKIAABCDEFGHIJKLMNOP v1:SGVsbG9IZWxsbw==:v1:c2FsdHNhbHQ=:abc\n",
        },
        {
          severity: "warning",
          message: "warning: using pulumi-resource-aws from $PATH at /x\n",
        },
        { severity: "info", message: "info: hello\n" },
      ],
    ),
    { SOME_PASSWORD: "hunter2hunter2", CI_COMMIT_REF_NAME: "main" },
  );
  expect(problems).toEqual([
    {
      severity: "error",
      text: "[secret] [secret] https://[secret]@host.example/x?private_token=[secret]&a=b [secret] [secret]",
    },
  ]);
});

test("what is no preview is said as such", () => {
  expect(() => parseDigest("error: incorrect passphrase")).toThrow(
    PreviewError,
  );
  expect(() => parseDigest("")).toThrow(/printed no JSON, but: nothing/);
  expect(() => parseDigest('{\n "steps": 3\n}')).toThrow(/is no preview/);
  expect(new GitlabError("x", 404).status).toBe(404);
});

test("secrets of a stack's file are found wherever they stand", () => {
  expect(
    securePaths({
      token: { secure: "v1:a" },
      image: { variables: [{ value: "open" }, { value: { secure: "v1:b" } }] },
    }),
  ).toEqual([["token"], ["image", "variables", "1", "value"]]);
});
