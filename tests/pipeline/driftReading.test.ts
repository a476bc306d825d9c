/** Drift of several platforms, from previews as the engine prints them. */

import { expect, test } from "vitest";
import { bringIssueUpToDate } from "../../infra/pipeline/driftIssue.ts";
import {
  type DriftReport,
  hidesSecrets,
  readDrift,
  unreachableGroups,
} from "../../infra/pipeline/driftReading.ts";
import {
  driftJunit,
  issueDescription,
} from "../../infra/pipeline/driftText.ts";
import { parseDigest } from "../../infra/pipeline/engineDigest.ts";
import { GitlabClient } from "../../infra/pipeline/gitlabClient.ts";
import { longestTextBytes } from "../../infra/pipeline/textLimit.ts";
import { GitlabApi } from "../servers/gitlabApi.ts";

const label = "debian-13-ec2-amd64-0123456789ab";
const places = { ec2: ["frankfurt", "oregon"] };
const urn = (type: string, name: string) =>
  `urn:pulumi:prod::cloud-images::${type}::${name}`;
const ami = urn("aws:ec2/ami:Ami", `${label}-ec2-frankfurt-ami`);
const snapshot = urn(
  "pulumi-nodejs:dynamic/ec2:EbsSnapshot",
  `${label}-ec2-oregon-snapshot`,
);
const format = urn("pulumi-nodejs:dynamic/image:ImageFormat", `${label}-vhd`);
const secret = urn(
  "gitlab:index/projectVariable:ProjectVariable",
  "gitlab-image-variable-X",
);

const state = (of: string, outputs: object) => ({
  ...{ urn: of, type: of.split("::")[2], inputs: {}, outputs },
});

const digestOf = (steps: readonly object[], diagnostics: object[] = []) =>
  parseDigest(JSON.stringify({ steps, diagnostics }, undefined, 4));

const redact = (text: string) => text.replaceAll("hunter2", "[secret]");
const read = (steps: readonly object[], pendingAnyway?: ReadonlySet<string>) =>
  readDrift("prod", digestOf(steps), {
    ...{ places, unreachable: new Map<string, string>(), redact },
    pendingAnyway,
  });

const found = ({ groups }: DriftReport) =>
  groups.flatMap(({ name, drifted, pending }) => [
    ...drifted.map(({ kind, details }) => [name, kind, ...details]),
    ...(pending > 0 ? [[name, "pending"]] : []),
  ]);

test("what is gone, altered and only wanted anew are told apart", () => {
  const report = read([
    { op: "refresh", urn: ami, oldState: state(ami, { name: "a" }) },
    { op: "refresh", urn: snapshot, oldState: state(snapshot, { tags: "a" }) },
    { op: "refresh", urn: format, oldState: state(format, { problems: [] }) },
    // Not found by the refresh: made anew.
    { op: "create", urn: ami, newState: state(ami, {}) },
    // Found as it was: the program wants something else.
    {
      ...{ op: "update", urn: snapshot, diffReasons: ["tags"] },
      oldState: state(snapshot, { tags: "a" }),
    },
    {
      ...{ op: "update", urn: format },
      oldState: state(format, { problems: ["hunter2.vhd is missing"] }),
    },
    { op: "create", urn: `${ami}2`, newState: state(ami, {}) },
  ]);
  expect(found(report)).toEqual([
    ["ec2 frankfurt", "gone"],
    ["ec2 frankfurt", "pending"],
    ["ec2 oregon", "pending"],
    ["images", "altered", "[secret].vhd is missing"],
  ]);
});

test("a secret that was altered shows by a preview without refresh, which would leave it alone", () => {
  const steps = [
    {
      op: "refresh",
      urn: secret,
      oldState: state(secret, { value: "[secret]" }),
    },
    {
      ...{ op: "update", urn: secret, diffReasons: ["value"] },
      oldState: state(secret, { value: "[secret]" }),
    },
  ];
  expect(hidesSecrets(digestOf(steps))).toBe(true);
  expect(found(read(steps, new Set()))).toEqual([
    ["gitlab image", "altered", "value"],
  ]);
  expect(found(read(steps, new Set([secret])))).toEqual([
    ["gitlab image", "pending"],
  ]);
});

test("a provider that cannot be set up takes its places with it, and no other", () => {
  const provider = urn("pulumi:providers:aws", "aws-frankfurt");
  const groups = unreachableGroups(
    digestOf(
      [
        { op: "refresh", urn: ami, provider: `${provider}::id` },
        { op: "refresh", urn: snapshot, provider: `${provider}2::id` },
      ],
      [
        {
          urn: provider,
          severity: "error",
          message: "error: no credentials\n",
        },
        { severity: "error", message: "error: preview failed\n" },
      ],
    ),
    places,
  );
  expect([...groups]).toEqual([
    ["ec2 frankfurt", { why: "no credentials", urns: [ami] }],
  ]);
});

const report: DriftReport = {
  stack: "prod",
  groups: [
    {
      ...{ name: "ec2 frankfurt", resources: 4, pending: 0 },
      unreachable: undefined,
      drifted: [
        {
          ...{ urn: ami, name: "/close", type: "aws:ec2/ami:Ami" },
          ...{ kind: "altered", details: ["/label ~x", "<b>&\u0000"] },
        },
      ],
    },
    {
      ...{ name: "openstack b", resources: 0, pending: 0, drifted: [] },
      unreachable: 'connect ECONNREFUSED "10.0.0.1" @all',
    },
    {
      ...{ name: "images", resources: 9, pending: 1, drifted: [] },
      unreachable: undefined,
    },
  ],
};

test("JUnit has a case for each group, and only text in it", () => {
  const xml = driftJunit(report, "2026-11-21T03:00:00.000Z");
  expect(xml).toContain(
    '<testsuites tests="3" failures="1" errors="1" skipped="0">',
  );
  expect(xml).toMatch(
    /name="openstack b" time="0">\n {6}<error message="could not be reached">connect ECONNREFUSED &quot;10/,
  );
  expect(xml).toContain('name="images" time="0"/>');
  expect(xml).toContain("&lt;b&gt;&amp;\ufffd");
});

test("the issue's description has no line that begins a quick action, and no mention", () => {
  const text = issueDescription(report, {
    ...{ pipeline: 5, lookedAt: "2026-11-21T03:00:00.000Z" },
    url: "https://gitlab.example/x/-/pipelines/5",
  });
  expect(text).toMatch(
    /^<!-- cloud-images:drift stack=prod -->\n\nOne resource of/,
  );
  expect(text).toContain("| `ec2 frankfurt` | 1 | 0 | 4 |");
  expect(text).toContain("**Not looked at**");
  expect(text).not.toMatch(/^[\s>]*\//m);
  expect(text).not.toContain("@all");
  expect(text).toContain("&#64;all");
});

test.each([
  ["markup", "<"],
  ["characters of three bytes", "\u20ac"],
])(
  "an issue about a whole fleet, with long messages of %s, is cut and says how much",
  async (_, character) => {
    const text = character.repeat(5000);
    const [group] = report.groups;
    const drifted = Array.from({ length: 300 }, () => ({
      ...{ urn: ami, name: text, type: text, kind: "altered" as const },
      details: Array.from({ length: 30 }, () => text),
    }));
    const fleet: DriftReport = {
      stack: "prod",
      groups: Array.from({ length: 40 }, (_, index) => ({
        ...(group as DriftReport["groups"][number]),
        ...{ name: `ec2 place${index}`, resources: 300, drifted },
        unreachable: text,
      })),
    };
    await using gitlab = await GitlabApi.start();
    const project = gitlab.addProject(42, "team/images");
    gitlab.addToken("glpat-writes-issues", project);
    const client = new GitlabClient({
      ...{ apiUrl: gitlab.url, token: "glpat-writes-issues" },
      tokenName: "NOTE_TOKEN",
    });
    const end = await bringIssueUpToDate(client, "42", fleet, {
      ...{ pipeline: 5, lookedAt: "2026-11-21T03:00:00.000Z" },
    });
    expect(end.kind).toBe("opened");
    const description = project.issues[0]?.description ?? "";
    expect(Buffer.byteLength(description)).toBeLessThanOrEqual(
      longestTextBytes,
    );
    expect(description).toMatch(
      /^<!-- cloud-images:drift stack=prod -->\n\n12000 resources of/,
    );
    expect(description).toContain("| `ec2 place39` | 300 | 0 | 300 |");
    expect(description).toContain("- `ec2 place39`: <code>");
    const groups = description.match(/<details>/g)?.length ?? 0;
    expect(groups).toBeGreaterThanOrEqual(4);
    expect(description.match(/<\/details>/g)).toHaveLength(groups);
    // Of each of them, some are told.
    const rest = description.match(/^… and \d+ more\.$/gm);
    expect(rest).toHaveLength(groups);
    expect(description).toContain(
      `**Cut here**: ${40 - groups} more parts have no room in GitLab. \`drift.xml\` among the job's artifacts names every resource.`,
    );
  },
);

test("of a group whose resources say little, two hundred are told", () => {
  const drifted = Array.from({ length: 250 }, (_, index) => ({
    ...{ urn: ami, name: `ami${index}`, type: "aws:ec2/ami:Ami" },
    ...{ kind: "gone" as const, details: [] },
  }));
  const text = issueDescription(
    {
      stack: "prod",
      groups: [
        {
          ...{ name: "ec2 frankfurt", resources: 300, pending: 0 },
          ...{ unreachable: undefined, drifted },
        },
      ],
    },
    { pipeline: 5, lookedAt: "2026-11-21T03:00:00.000Z" },
  );
  expect(text.match(/ is gone\.$/gm)).toHaveLength(199);
  expect(text).toContain("ami199 (aws:ec2&#47;ami:Ami) is gone.</code></pre>");
  expect(text).toContain("… and 50 more.");
  expect(text).not.toContain("**Cut here**");
});
