import { describe, expect, it } from "vitest";
import { describeIssue } from "../../../infra/definitions/issues.ts";
import {
  accessOf,
  ec2ConfigSchema,
} from "../../../infra/platforms/ec2/ec2Config.ts";

const region = "eu-central-1";

/** What is wrong, a line each, as users read it. */
function problems(config: unknown): readonly string[] {
  const parsed = ec2ConfigSchema.safeParse(config);
  return (parsed.error?.issues ?? []).map(describeIssue);
}

describe("EC2 in a stack's configuration", () => {
  it("needs a target with a region, and is safe and private otherwise", () => {
    const config = ec2ConfigSchema.parse({ targets: { east: { region } } });
    expect(config).toEqual({
      definitions: ["*-ec2-*"],
      targets: {
        east: { region, method: "ebs-direct", share: "private", uploads: 2 },
      },
      zeroBlocks: "send",
      readBack: "all",
      deprecateAfterDays: 730,
      tags: {},
    });
    expect(problems({ targets: {} })).toEqual(["targets: must name a target."]);
  });

  it.each([
    [{ region: "Frankfurt" }, "region: must be the name of a region"],
    [{ region, account: "12" }, "account: must be an account's 12 digits"],
    [
      { region, assumeRole: "release" },
      "assumeRole: must be the ARN of a role",
    ],
    [
      { region, endpoint: "http://me:pass@x" },
      "endpoint: must have no user name",
    ],
    [
      { region, share: { accounts: [] } },
      "share: must name an account or an organization",
    ],
    [{ region, share: "public", encryption: {} }, "share: cannot be public"],
    [{ region, copyFrom: "east" }, "copyFrom: must name another target"],
    [{ region, copyFrom: "west" }, "copyFrom: must name another target"],
    [{ region, Region: region }, "Region: no such field."],
    [{ region, share: "everyone" }, "share: must be private, public, or have"],
  ])("refuses %j", (target, problem) => {
    expect(problems({ targets: { east: target } })[0]).toContain(
      `targets.east.${problem}`,
    );
  });

  it.each(["aws:x", "cloud-images:stack", "Name", "a*b", ""])(
    "leaves the tag %j to others",
    (name) => {
      const targets = { east: { region } };
      expect(problems({ targets, tags: { [name]: "x" } })[0]).toContain(
        "must be a tag's name",
      );
      expect(problems({ targets, tags: { "cost center": "x" } })).toEqual([]);
    },
  );

  it("refuses two targets that would have the same AMIs", () => {
    const account = "123456789012";
    const one = { region, account };
    expect(problems({ targets: { a: one, b: one } })).toEqual([
      "targets.b.region: must not be that of a in the same account, where the AMIs would have the same names.",
    ]);
    const other = { region, account: "210987654321" };
    expect(problems({ targets: { a: one, b: other } })).toEqual([]);
  });

  it("refuses what EC2 would: copies into other accounts, public ones of encrypted AMIs", () => {
    const source = { region, account: "123456789012", encryption: {} };
    const copy = { region: "us-east-1", copyFrom: "a" };
    expect(
      problems({
        targets: { a: source, b: { ...copy, account: "210987654321" } },
      })[0],
    ).toContain("must name a target in the same account");
    expect(
      problems({ targets: { a: source, b: { ...copy, share: "public" } } })[0],
    ).toContain("what is copied is encrypted");
  });

  it("refuses copies of copies", () => {
    const targets = {
      a: { region },
      b: { region: "us-east-1", copyFrom: "a" },
      c: { region: "us-west-1", copyFrom: "b" },
    };
    expect(problems({ targets })).toEqual([
      "targets.c.copyFrom: must not name b, which is a copy.",
    ]);
  });

  it("says how a region is reached, and no more than that", () => {
    const { targets } = ec2ConfigSchema.parse({
      targets: { east: { region, profile: "images", share: "public" } },
    });
    expect(targets.east && accessOf(targets.east)).toEqual({
      region,
      profile: "images",
    });
  });
});
