import { expect, test } from "vitest";
import { parseConfig, parseGitlabConfig } from "../../infra/config.ts";
import { secretHostFields } from "../../infra/runnersProgram.ts";
import { hostKey, sampleHosts, sampleRunners } from "./sampleHosts.ts";

const gitlab = {
  ...{ group: 42, image: { path: "images" } },
  runners: {
    ...sampleRunners,
    "merge-more": { tags: ["amd64", "merge"], protected: false },
  },
};

function parse(runnerHosts: object, section: object = gitlab) {
  return parseGitlabConfig("mine", {
    "cloud-images:gitlab": JSON.stringify(section),
    "cloud-images:runnerHosts": JSON.stringify(runnerHosts),
  })?.runnerHosts;
}

/** What is said of a configuration that is refused. */
function refusal(runnerHosts: object, section?: object): string {
  try {
    parse(runnerHosts, section);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("It was taken.");
}

const { ec2, gce, az, existing } = sampleHosts;

const images = {
  "cloud-images:definitions": '["debian-13-tiny-amd64"]',
  "cloud-images:store": '{"directory":"store"}',
  "cloud-images:directory": '{"path":"public"}',
  "cloud-images:gitlab": JSON.stringify(gitlab),
};

/** A stack that publishes images, has machines whose cache is in `merge-cache`, and these sections. */
function parseImages(sections: Readonly<Record<string, object>>) {
  const values = { ...sections, runnerHosts: { ec2 } };
  const texts = Object.entries(values).map(([key, value]) => [
    `cloud-images:${key}`,
    JSON.stringify(value),
  ]);
  return parseConfig("mine", { ...images, ...Object.fromEntries(texts) });
}

test("one of each kind is taken, and what is left out filled in", () => {
  const hosts = parse({ ec2, gce, az, existing });
  expect(hosts?.ec2).toMatchObject({
    ...{ concurrent: "auto", diskSharePercent: 70, diskGiB: 100, spot: false },
    ...{ machines: { min: 0, max: 3 }, hours: { days: [1, 2, 3, 4, 5] } },
  });
  expect(hosts?.gce).toMatchObject({ boot: "startup-script" });
  expect(hosts?.existing).toMatchObject({ port: 22, user: "root" });
});

test("what only looks alike is taken", () => {
  const metal = { ...ec2, instanceTypes: ["m7i.metal-24xl"], spot: true };
  expect(parse({ ec2: metal })?.ec2).toMatchObject({ kvm: true, spot: true });
  const subnetwork =
    "projects/other-project/regions/europe-west3/subnetworks/release";
  const other = { ...gce, runners: ["merge-amd64"], subnetwork };
  expect(parse({ gce, other })?.other).toMatchObject({ subnetwork });
});

test("a machine that exists has kvm or not, whatever its runners' tags are", () => {
  for (const tags of [
    ["amd64", "merge"],
    ["amd64", "kvm", "merge"],
  ]) {
    const runners = { "merge-amd64": { tags, protected: false } };
    const host = { ...existing, runners: ["merge-amd64"] };
    expect(parse({ host }, { ...gitlab, runners })?.host?.kind).toBe(
      "existing",
    );
  }
});

test("runners may have machines beside images, but not without GitLab", () => {
  const { "cloud-images:gitlab": _, ...alone } = images;
  const hosts = { "cloud-images:runnerHosts": JSON.stringify({ ec2 }) };
  expect(() => parseConfig("mine", { ...alone, ...hosts })).toThrow(
    "Pulumi.mine.yaml: cloud-images:runnerHosts: needs the section gitlab in the same stack",
  );
  expect(parseImages({}).runnerHosts?.ec2?.kind).toBe("ec2");
});

test.each<[string, Readonly<Record<string, object>>]>([
  [
    "store.s3.bucket",
    { store: { s3: { bucket: "merge-cache", region: "eu-central-1" } } },
  ],
  ["bucket.name", { bucket: { name: "merge-cache", region: "eu-central-1" } }],
])("a cache is never in the bucket of %s", (field, sections) => {
  expect(() => parseImages(sections)).toThrow(
    `Pulumi.mine.yaml: cloud-images:runnerHosts.ec2.cache.bucket: is that of ${field}, too, and all of its machines may write there: have a bucket for the cache alone.`,
  );
});

test("a cache may be called like a bucket of another cloud", () => {
  const store = { gcs: { bucket: "merge-cache" } };
  expect(parseImages({ store }).runnerHosts?.ec2).toMatchObject({
    cache: { bucket: "merge-cache" },
  });
});

test.each<[string, object, string]>([
  [
    "a runner that there is not",
    { ec2: { ...ec2, runners: ["merge-arm64"] } },
    "runnerHosts.ec2.runners[0]: names merge-arm64, which gitlab.runners does not describe.",
  ],
  [
    "a runner twice",
    { ec2: { ...ec2, runners: ["merge-amd64", "merge-amd64"] } },
    "runnerHosts.ec2.runners[1]: names merge-amd64 twice.",
  ],
  [
    "both kinds of trust on one machine",
    { ec2: { ...ec2, runners: ["merge-amd64", "release-amd64"] } },
    "runnerHosts.ec2.runners[1]: puts merge-amd64 and release-amd64 onto one machine, and only one of them is protected",
  ],
  [
    "one machine for both, as two hosts",
    {
      existing,
      other: {
        ...existing,
        ...{ runners: ["merge-amd64"], address: "Builder.example", port: 2222 },
      },
    },
    "runnerHosts.other.address: is that of existing, too, whose runners are protected: give each its own.",
  ],
  [
    "one machine as two hosts of one trust",
    {
      existing: { ...existing, runners: ["release-amd64"] },
      other: { ...existing, runners: ["release-arm64"] },
    },
    "runnerHosts.other.address: is that of existing, too: have one host with the runners of both.",
  ],
  [
    "a subnet of EC2 for both kinds of trust",
    {
      ec2,
      other: {
        ...{ ...ec2, runners: ["release-amd64"], cache: undefined },
        subnets: ["subnet-02", "subnet-01"],
      },
    },
    "runnerHosts.other.subnets[1]: is that of ec2, too, whose runners are not protected",
  ],
  [
    "a cache for both kinds of trust",
    {
      ec2,
      other: { ...ec2, runners: ["release-amd64"], subnets: ["subnet-02"] },
    },
    "runnerHosts.other.cache.bucket: is that of ec2, too",
  ],
  [
    "a subnetwork of Google's for both kinds of trust",
    { gce, other: { ...gce, runners: ["merge-amd64"] } },
    "runnerHosts.other.subnetwork: is that of gce, too",
  ],
  [
    "that subnetwork by its whole path",
    {
      gce,
      other: {
        ...{ ...gce, runners: ["merge-amd64"], project: "other-project" },
        subnetwork:
          "projects/a-project/regions/europe-west3/subnetworks/release",
      },
    },
    "runnerHosts.other.subnetwork: is that of gce, too",
  ],
  [
    "one machine by two addresses for both kinds of trust",
    {
      existing: { ...existing, runners: ["release-amd64"] },
      other: {
        ...{ ...existing, runners: ["merge-amd64"], address: "192.0.2.1" },
      },
    },
    "runnerHosts.other.hostKey: is that of existing, too",
  ],
  [
    "a subnet of Azure for both kinds of trust",
    {
      az,
      other: {
        ...az,
        runners: ["merge-amd64"],
        subnet: az.subnet.toUpperCase(),
      },
    },
    "runnerHosts.other.subnet: is that of az, too",
  ],
  [
    "a machine without kvm for a runner whose tags have it",
    { gce: { ...gce, kvm: false } },
    "runnerHosts.gce.kvm: must be true, as release-amd64 has the tag kvm",
  ],
  [
    "hours that end before they begin",
    { ec2: { ...ec2, hours: { from: 20, to: 6 } } },
    "runnerHosts.ec2.hours.to: must be later than from",
  ],
  [
    "a zone that there is not",
    { ec2: { ...ec2, hours: { from: 6, to: 20, timezone: "Europe/Bonn" } } },
    "runnerHosts.ec2.hours.timezone: is no time zone",
  ],
  [
    "a zone that Azure's scales do not know",
    { az: { ...az, hours: { from: 6, to: 20, timezone: "Europe/Berlin" } } },
    "runnerHosts.az.hours.timezone: must be UTC",
  ],
  [
    "more machines at least than at most",
    { ec2: { ...ec2, machines: { min: 4, max: 3 } } },
    "runnerHosts.ec2.machines.min: must not be more than max.",
  ],
  [
    "kvm where EC2 has none",
    { ec2: { ...ec2, instanceTypes: ["m8i.xlarge", "m7g.xlarge"] } },
    "runnerHosts.ec2.instanceTypes[1]: has no /dev/kvm",
  ],
  [
    "kvm for parts of machines that EC2 may take away",
    { ec2: { ...ec2, spot: true } },
    "runnerHosts.ec2.spot: does not go with kvm",
  ],
  [
    "whole machines and parts of them",
    { ec2: { ...ec2, instanceTypes: ["m8i.xlarge", "m7g.metal"] } },
    "runnerHosts.ec2.instanceTypes: must all be .metal, or none",
  ],
  [
    "kvm where Google has none",
    { gce: { ...gce, machineType: "e2-standard-4" } },
    "runnerHosts.gce.machineType: has no nested virtualisation",
  ],
  [
    "kvm where Azure has none",
    { az: { ...az, kvm: true } },
    "runnerHosts.az.size: has no nested virtualisation",
  ],
  [
    "a silence that GitLab does not notice",
    { ec2: { ...ec2, silentMinutes: 10 } },
    "runnerHosts.ec2.silentMinutes: must be 60 or more",
  ],
  [
    "a machine whose key nobody knows",
    { existing: { ...existing, hostKey: undefined } },
    "runnerHosts.existing.hostKey: ",
  ],
  [
    "the key with its comment",
    { existing: { ...existing, hostKey: `${hostKey} root@builder` } },
    "runnerHosts.existing.hostKey: must be the machine's public key",
  ],
  [
    "an option for ssh in place of an address",
    { existing: { ...existing, address: "-oProxyCommand=x" } },
    "runnerHosts.existing.address: must be the name or address of a machine.",
  ],
  [
    "a name that clouds do not take",
    { "a-name-of-21-letters-x": ec2 },
    "must have 20 characters at most",
  ],
  [
    "a kind that there is not",
    { ec2: { ...ec2, kind: "ec3" } },
    "runnerHosts.ec2.kind: ",
  ],
  [
    "a field of another kind",
    { existing: { ...existing, spot: true } },
    "runnerHosts.existing.spot: no such field.",
  ],
])("%s is refused by the field's name", (_case, hosts, message) => {
  expect(refusal(hosts)).toContain(
    `Pulumi.mine.yaml: cloud-images:${message}`.replace(
      /:must have 20/,
      ":runnerHosts.a-name-of-21-letters-x: must have 20",
    ),
  );
});

test.each<[string, object, string]>([
  [
    "without an architecture",
    { tags: ["merge"], protected: false },
    "must have the architecture that it builds",
  ],
  [
    "without its trust",
    { tags: ["amd64"], protected: false },
    "must have merge and not release, as protected is false",
  ],
  [
    "with the other trust",
    {
      ...{ project: "image", tags: ["amd64", "release", "merge"] },
      protected: true,
    },
    "must have release and not merge, as protected is true",
  ],
  [
    "without kvm, on machines that have it",
    { tags: ["amd64", "merge"], protected: false },
    "must have kvm, as the machines of runnerHosts.ec2 have it",
  ],
])("a runner %s cannot have a machine", (_case, runner, message) => {
  const section = { ...gitlab, runners: { "merge-amd64": runner } };
  expect(refusal({ ec2 }, section)).toContain(
    `cloud-images:gitlab.runners.merge-amd64.tags: ${message}`,
  );
});

test("private keys have to be encrypted", () => {
  const privateKey =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n";
  const hosts = parse({ ec2, existing: { ...existing, privateKey } });
  expect(hosts && secretHostFields(hosts)).toEqual(["existing.privateKey"]);
});
