/** The account's resources, declared through the real engine, as S3 and IAM show them afterwards. */

import {
  DeleteRolePolicyCommand,
  GetOpenIDConnectProviderCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  ListOpenIDConnectProvidersCommand,
} from "@aws-sdk/client-iam";
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scopeOf } from "../../../infra/aws/account/account.ts";
import { accountConfigSchema } from "../../../infra/aws/account/accountConfig.ts";
import {
  previewPolicy,
  releasePolicy,
} from "../../../infra/aws/account/permissions.ts";
import { projectPath } from "../../../infra/projectPaths.ts";
import { TestAccount } from "../../doubles/aws/account.ts";
import { TestProgram } from "../../doubles/program.ts";

const region = "eu-central-1";
const bucket = "team-images";
const config = {
  region,
  account: "123456789012",
  stacks: ["organization/cloud-images/prod"],
  parameters: "/cloud-images",
  bucket: {
    name: bucket,
    published: {
      prefix: "public",
      distributions: ["arn:aws:cloudfront::123456789012:distribution/E1"],
    },
  },
  gitlab: { project: "team/images", releaseRefs: ["main"] },
};

let account: TestAccount;
let program: TestProgram;

beforeAll(async () => {
  account = await TestAccount.create();
  program = await TestProgram.create(account.env);
  await program.write(`
import { declareAccount } from "${projectPath("infra/accountProgram.ts")}";
import { accountConfigSchema } from "${projectPath("infra/aws/account/accountConfig.ts")}";
const config = accountConfigSchema.parse(${JSON.stringify({ ...config, endpoint: account.url })});
export const { summary } = declareAccount(config);
`);
  const up = await program.up();
  if (up.exitCode !== 0) throw new Error(up.output);
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await account?.[Symbol.asyncDispose]();
});

async function policyOf(role: string) {
  const { PolicyDocument = "" } = await account.iam().send(
    new GetRolePolicyCommand({
      RoleName: role,
      PolicyName: "cloud-images",
    }),
  );
  return JSON.parse(decodeURIComponent(PolicyDocument));
}

async function trustOf(role: string) {
  const { Role } = await account
    .iam()
    .send(new GetRoleCommand({ RoleName: role }));
  return JSON.parse(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? ""));
}

test("nothing in the bucket is public, and nothing is lost at once", async () => {
  const s3 = account.s3(region);
  const Bucket = bucket;
  expect(
    await s3.send(new GetPublicAccessBlockCommand({ Bucket })),
  ).toMatchObject({
    PublicAccessBlockConfiguration: {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    },
  });
  expect(
    await s3.send(new GetBucketOwnershipControlsCommand({ Bucket })),
  ).toMatchObject({
    OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
  });
  expect(
    await s3.send(new GetBucketEncryptionCommand({ Bucket })),
  ).toMatchObject({
    ServerSideEncryptionConfiguration: {
      Rules: [
        { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } },
      ],
    },
  });
  expect(
    await s3.send(new GetBucketVersioningCommand({ Bucket })),
  ).toMatchObject({ Status: "Enabled" });
  const { Rules } = await s3.send(
    new GetBucketLifecycleConfigurationCommand({ Bucket }),
  );
  expect(Rules).toMatchObject([
    { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 } },
    { NoncurrentVersionExpiration: { NoncurrentDays: 30 } },
  ]);
  const { Policy = "" } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
  expect(JSON.parse(Policy).Statement).toMatchObject([
    { Effect: "Deny", Resource: [`arn:aws:s3:::${bucket}`, expect.anything()] },
    {
      Effect: "Allow",
      Principal: { Service: "cloudfront.amazonaws.com" },
      Resource: [`arn:aws:s3:::${bucket}/public/*`],
    },
  ]);
});

test("jobs of the release branch may publish, jobs of the project may look", async () => {
  const { OpenIDConnectProviderList = [] } = await account
    .iam()
    .send(new ListOpenIDConnectProvidersCommand({}));
  const [issuer] = OpenIDConnectProviderList;
  expect(
    await account.iam().send(
      new GetOpenIDConnectProviderCommand({
        OpenIDConnectProviderArn: issuer?.Arn,
      }),
    ),
  ).toMatchObject({
    Url: "gitlab.com",
    ClientIDList: ["https://gitlab.com"],
  });
  expect((await trustOf("cloud-images-release")).Statement).toMatchObject([
    {
      Principal: { Federated: issuer?.Arn },
      Condition: {
        StringEquals: {
          "gitlab.com:aud": "https://gitlab.com",
          "gitlab.com:sub": [
            "project_path:team/images:ref_type:branch:ref:main",
          ],
        },
      },
    },
  ]);
  expect((await trustOf("cloud-images-preview")).Statement).toMatchObject([
    {
      Condition: {
        StringLike: { "gitlab.com:sub": ["project_path:team/images:*"] },
      },
    },
  ]);
  const scope = scopeOf(accountConfigSchema.parse(config));
  expect(await policyOf("cloud-images-release")).toEqual(releasePolicy(scope));
  expect(await policyOf("cloud-images-preview")).toEqual(previewPolicy(scope));
});

test("what somebody changed by hand shows, and is put right", async () => {
  const unchanged = await program.pulumi(
    ...["preview", "--refresh", "--diff", "--expect-no-changes"],
  );
  expect(unchanged).toMatchObject({ exitCode: 0 });
  await account.iam().send(
    new DeleteRolePolicyCommand({
      RoleName: "cloud-images-preview",
      PolicyName: "cloud-images",
    }),
  );
  await account.s3(region).send(
    new PutBucketPolicyCommand({
      Bucket: bucket,
      Policy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: "*",
            Action: "s3:GetObject",
            Resource: "*",
          },
        ],
      }),
    }),
  );
  const up = await program.up("--refresh", "--diff");
  expect(up).toMatchObject({ exitCode: 0 });
  expect(up.output).toMatch(/~ aws:s3\/bucketPolicy:BucketPolicy: \(update\)/);
  expect(up.output).toMatch(/\+ aws:iam\/rolePolicy:RolePolicy: \(create\)/);
  const { Policy = "" } = await account
    .s3(region)
    .send(new GetBucketPolicyCommand({ Bucket: bucket }));
  expect(JSON.parse(Policy).Statement[0].Effect).toBe("Deny");
});

test("the bucket is protected against destruction", async () => {
  const destroy = await program.pulumi("destroy", "--yes", "--skip-preview");
  expect(destroy.exitCode).not.toBe(0);
  expect(destroy.output).toMatch(/cannot be deleted.*protect/s);
  await account
    .s3(region)
    .send(new GetBucketVersioningCommand({ Bucket: bucket }));
});
