import { describe, expect, test } from "vitest";
import { policyText } from "../../../infra/aws/account/account.ts";
import { accountConfigSchema } from "../../../infra/aws/account/accountConfig.ts";
import { bucketPolicy } from "../../../infra/aws/account/bucketPolicy.ts";
import {
  type PublishingScope,
  previewPolicy,
  releasePolicy,
  rolePolicyCharacters,
} from "../../../infra/aws/account/permissions.ts";
import {
  allowedActions,
  type PolicyStatement,
} from "../../../infra/aws/account/policyDocument.ts";
import {
  previewTrust,
  releaseTrust,
  trustPolicyCharacters,
} from "../../../infra/aws/account/trust.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { actionsOf, neededActions } from "./calls.ts";

const stack = "organization/cloud-images/prod";

/** Everything that can be configured. */
const scope: PublishingScope = {
  account: "123456789012",
  regions: ["eu-central-1", "us-east-1"],
  stacks: [stack],
  parameters: "/cloud-images",
  methods: ["ebs-direct", "volume"],
  kmsKeys: [],
  bucket: { name: "team-images", prefix: "store" },
};

// Accounts, and machines of runners, are declared by those who own them.
const needed = await neededActions(projectPath("infra"), [
  projectPath("infra/aws/account"),
  projectPath("infra/runners"),
]);

describe("the release role", () => {
  test("may make every call that the code makes", () => {
    expect(needed).not.toEqual([]);
    expect(allowedActions(releasePolicy(scope))).toEqual(
      expect.arrayContaining([...needed]),
    );
  });

  test("may make no other call", () => {
    expect(allowedActions(releasePolicy(scope))).toEqual(needed);
  });

  test("changes only what carries the stack's tag, or gets it", () => {
    const untagged = releasePolicy(scope)
      .Statement.filter(
        (statement) => statement.Effect === "Allow" && !isBoundToTag(statement),
      )
      .flatMap(({ Action }) => Action)
      .filter(
        (action) => action.startsWith("ec2:") || action.startsWith("ebs:"),
      )
      .filter((action) => !/:(Describe|Get|List)/.test(action));
    expect(untagged).toEqual([
      // These make what can be tagged only afterwards.
      "ec2:CopyImage",
      "ec2:RegisterImage",
      // Their instances are not ours; their volumes are.
      "ec2:AttachVolume",
      "ec2:DetachVolume",
    ]);
  });

  test("cannot take the tag away, or give it to nothing else than images, snapshots and volumes", () => {
    const tagging = releasePolicy(scope).Statement.filter(({ Action }) =>
      [Action].flat().some((action) => /Tags$/.test(action)),
    );
    expect(tagging).toMatchObject([
      { Condition: { StringEquals: { [requestTag]: [stack] } } },
      {
        Condition: {
          StringEquals: { [resourceTag]: [stack] },
          "ForAllValues:StringNotEquals": {
            "aws:TagKeys": ["cloud-images:stack"],
          },
        },
      },
    ]);
    for (const { Resource = [] } of tagging) {
      for (const arn of Resource) {
        expect(arn).toMatch(/:(image|snapshot|volume)\/\*$/);
      }
    }
  });

  test("names all resources except for lists", () => {
    for (const { Effect, Action, Resource = [] } of releasePolicy(scope)
      .Statement) {
      if (Effect === "Deny") continue;
      const actions = [Action].flat();
      expect(actions.join()).not.toMatch(/\*/);
      if (Resource.includes("*")) {
        for (const action of actions) expect(action).toMatch(/:Describe/);
      }
    }
  });

  test("may do nothing in other regions", () => {
    for (const policy of [releasePolicy(scope), previewPolicy(scope)]) {
      const [first] = policy.Statement;
      expect(first).toMatchObject({
        Effect: "Deny",
        Action: ["ebs:*", "ec2:*", "ssm:*"],
        Resource: ["*"],
        Condition: {
          StringNotEquals: { "aws:RequestedRegion": scope.regions },
        },
      });
    }
  });

  test("gets nothing for what is not configured", () => {
    const least = releasePolicy({
      ...scope,
      methods: ["ebs-direct"],
      parameters: undefined,
      bucket: undefined,
    });
    expect(allowedActions(least).join()).not.toMatch(
      /Volume|Instance|ssm:|s3:|kms:/,
    );
  });

  test("may use the keys that are configured, and lend them to EBS alone", () => {
    const key =
      "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000000";
    const statements = releasePolicy({ ...scope, kmsKeys: [key] }).Statement;
    const ofKeys = statements.filter(({ Resource }) => Resource?.includes(key));
    expect(ofKeys).toMatchObject([
      { Action: expect.arrayContaining(["kms:Decrypt"]) },
      {
        Action: ["kms:CreateGrant"],
        Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
      },
    ]);
  });
});

test("the preview role may only look, and at all that the release role may look at", () => {
  const isLook = (action: string) => /:(Describe|Get|List)/.test(action);
  const preview = allowedActions(previewPolicy(scope));
  expect(preview.filter((action) => !isLook(action))).toEqual([]);
  const { methods: _, ...rest } = scope;
  const release = allowedActions(
    releasePolicy({ ...rest, methods: ["ebs-direct"] }),
  );
  // Which uploads were abandoned matters to who takes them away.
  const looks = release.filter(
    (action) => isLook(action) && action !== "s3:ListBucketMultipartUploads",
  );
  expect(preview).toEqual(looks);
});

test("policies stay within IAM's quotas with many regions and stacks", () => {
  const many = {
    ...scope,
    regions: Array.from({ length: 17 }, (_, index) => `eu-central-${index}`),
    stacks: [stack, `${stack}-2`],
  };
  expect(JSON.stringify(releasePolicy(many)).length).toBeLessThan(
    rolePolicyCharacters,
  );
  const gitlab = {
    url: "https://gitlab.example.org",
    project: "group/subgroup/project",
    releaseRefs: ["main", "release/13", "release/14"],
  };
  const arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.example.org";
  for (const trust of [releaseTrust, previewTrust]) {
    expect(JSON.stringify(trust(gitlab, arn)).length).toBeLessThan(
      trustPolicyCharacters,
    );
  }
});

test("more permissions than a role can have are refused before IAM does", () => {
  const stacks = Array.from({ length: 99 }, (_, index) => `${stack}-${index}`);
  expect(() => policyText(releasePolicy({ ...scope, stacks }))).toThrow(
    /IAM takes 10240 characters .* cloud-images:account asks for \d+/,
  );
});

test("statements have names of their own, in the letters that IAM takes", () => {
  const { Statement } = releasePolicy(scope);
  const names = Statement.map(({ Sid }) => Sid);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9]+$/);
});

test("regions of other partitions have ARNs of their own", () => {
  const china = releasePolicy({ ...scope, regions: ["cn-north-1"] });
  expect(JSON.stringify(china)).toMatch(/arn:aws-cn:ec2:/);
  expect(JSON.stringify(china)).not.toMatch(/arn:aws:/);
});

test("the bucket refuses plain http, and lets in nobody where there is no distribution", () => {
  const { Statement } = bucketPolicy({
    bucketArn: "arn:aws:s3:::team-images",
  });
  expect(Statement).toMatchObject([
    {
      Effect: "Deny",
      Principal: "*",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  ]);
});

test.each([
  ["no account", { account: undefined }],
  [
    "a branch with a wildcard",
    { gitlab: { project: "a/b", releaseRefs: ["*"] } },
  ],
  [
    "a project with a wildcard",
    { gitlab: { project: "a/*", releaseRefs: ["main"] } },
  ],
  ["no release branch", { gitlab: { project: "a/b", releaseRefs: [] } }],
  [
    "plain http",
    {
      gitlab: {
        url: "http://gitlab.com",
        project: "a/b",
        releaseRefs: ["main"],
      },
    },
  ],
  [
    "a slash at the address's end",
    {
      gitlab: {
        url: "https://gitlab.com/",
        project: "a/b",
        releaseRefs: ["main"],
      },
    },
  ],
  ["a stack without its project", { stacks: ["prod"] }],
])("a configuration with %s is refused", (_case, changes) => {
  const config = {
    region: "eu-central-1",
    account: "123456789012",
    stacks: [stack],
  };
  expect(accountConfigSchema.safeParse(config).success).toBe(true);
  expect(accountConfigSchema.safeParse({ ...config, ...changes }).success).toBe(
    false,
  );
});

test("calls are found in imports, whatever they are called in IAM", () => {
  const source = `
import { type EC2Client, DescribeImagesCommand } from "@aws-sdk/client-ec2";
import { HeadObjectCommand, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import type { PutObjectCommand } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { AmiLaunchPermission } from "@pulumi/aws/ec2/amiLaunchPermission.js";
`;
  expect(actionsOf(source)).toEqual([
    "ec2:DescribeImages",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:AbortMultipartUpload",
    "s3:PutObject",
    "ec2:DescribeImageAttribute",
    "ec2:ModifyImageAttribute",
  ]);
});

const requestTag = "aws:RequestTag/cloud-images:stack";
const resourceTag = "aws:ResourceTag/cloud-images:stack";

function isBoundToTag({ Condition }: PolicyStatement): boolean {
  const { StringEquals = {} } = Condition ?? {};
  return requestTag in StringEquals || resourceTag in StringEquals;
}
