/** The worked example, Pulumi.prod.yaml, previewed by scripts/pulumi against stand-ins: everything that it declares. */

import { cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { projectPath } from "../infra/projectPaths.ts";
import { keptVariable } from "./doubles/aws/cloud.ts";
import { azureStateVariable } from "./doubles/azure/cloud.ts";
import { gcpStateVariable } from "./doubles/gcp/machines.ts";
import { TestGitlab } from "./doubles/gitlab/testGitlab.ts";
import { EngineProject } from "./engineProject.ts";
import { run } from "./scripts/checkout.ts";
import type { LocalServer } from "./servers/localServer.ts";
import { startMoto } from "./servers/moto.ts";

const region = "eu-central-1";
const credentials = { accessKeyId: "x", secretAccessKey: "x" };

let directory: string;
let moto: LocalServer;
let gitlab: TestGitlab;
let project: EngineProject;
/** What the preview printed. */
let shown: string;
let steps: readonly Step[];

const stepsSchema = z.looseObject({
  steps: z.array(
    z.looseObject({
      op: z.string(),
      urn: z.string(),
      newState: z.looseObject({
        inputs: z.record(z.string(), z.unknown()).default({}),
      }),
    }),
  ),
});
type Step = z.output<typeof stepsSchema>["steps"][number];

/** Runs scripts/pulumi as in a checkout, with nothing of this process but its PATH. */
function scriptsPulumi(...args: readonly string[]) {
  return run(project.path("scripts/pulumi"), args, project.directory, {
    // What the engine takes for providers, and an archive of the test's.
    PATH: `${project.path("bin")}:${projectPath("tests/doubles/bin")}:${process.env.PATH}`,
    // As the file says.
    PULUMI_CONFIG_PASSPHRASE: "example",
    // What stands for clouds and GitLab.
    ...gitlab.env,
    AWS_ENDPOINT_URL: moto.url,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    [keptVariable]: join(directory, "aws"),
    [gcpStateVariable]: join(directory, "gcp"),
    [azureStateVariable]: join(directory, "azure"),
  });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "prod-"));
  moto = await startMoto(directory);
  gitlab = await TestGitlab.create();
  const s3 = new S3Client({ region, credentials, endpoint: moto.url });
  await s3.send(
    new CreateBucketCommand({
      Bucket: "example-org-cloud-images",
      CreateBucketConfiguration: { LocationConstraint: region },
    }),
  );
  // A checkout that is set up. Nothing in it differs from this one.
  project = new EngineProject(join(directory, "project"));
  await project.fill();
  await rm(project.path("image-definitions"), { recursive: true });
  for (const name of [
    ...["image-definitions", "package-lock.json", "Pulumi.prod.yaml"],
  ]) {
    await cp(projectPath(name), project.path(name), { recursive: true });
  }
  await symlink(projectPath(".tools"), project.path(".tools"));
  const made = await scriptsPulumi("stack", "init", "prod");
  expect(made.exitCode, made.all).toBe(0);
  const preview = await scriptsPulumi("preview", "--stack", "prod", "--json");
  expect(preview.exitCode, preview.all).toBe(0);
  shown = preview.stdout;
  ({ steps } = stepsSchema.parse(JSON.parse(shown)));
}, 300_000);

afterAll(async () => {
  await project?.remove();
  await gitlab?.[Symbol.asyncDispose]();
  await moto?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function typeOf({ urn }: Step): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

/** Inputs of all resources whose type ends so. */
function inputsOf(end: string): readonly Readonly<Record<string, unknown>>[] {
  return steps
    .filter((step) => typeOf(step).endsWith(`:${end}`))
    .map(({ newState }) => newState.inputs);
}

/** What those inputs say in some fields, each once and sorted. */
function said(end: string, ...fields: readonly string[]): readonly string[] {
  const texts = inputsOf(end).map((inputs) =>
    fields
      .map((field) =>
        field
          .split(".")
          .reduce<unknown>(
            (value, name) => (value as Record<string, unknown>)?.[name],
            inputs,
          ),
      )
      .join(" "),
  );
  return [...new Set(texts)].sort();
}

it("creates the whole fleet, and nothing else", () => {
  expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(["create"]));
  const counts: Record<string, number> = {};
  for (const type of steps.map(typeOf)) {
    counts[type] = (counts[type] ?? 0) + 1;
  }
  expect(counts).toEqual({
    "pulumi:pulumi:Stack": 1,
    // Two regions and a host of runners; a gallery and a host; two projects and two hosts.
    "pulumi:providers:aws": 3,
    "pulumi:providers:azure-native": 2,
    "pulumi:providers:gcp": 4,
    "pulumi:providers:gitlab": 1,

    // Five variants, with two kernels, for two architectures.
    "cloud-images:release:ImageVersion": 20,
    "pulumi-nodejs:dynamic/image:FaiImage": 20,
    // With BIOS, amd64 boots in two ways.
    "pulumi-nodejs:dynamic/image:BootCheck": 30,
    // Two for the bucket each; tar.gz for Google, vhd for Azure, and what else clouds of OpenStack want is there.
    "pulumi-nodejs:dynamic/image:ImageFormat": 46,
    "pulumi-nodejs:dynamic/platforms:BucketPublication": 20,

    // Four images in two regions.
    "cloud-images:ec2:Ec2Publication": 8,
    "pulumi-nodejs:dynamic/platforms:EbsSnapshot": 4,
    "aws:ec2/ami:Ami": 4,
    "aws:ec2/amiCopy:AmiCopy": 4,
    "pulumi-nodejs:dynamic/platforms:CopiedSnapshots": 4,
    "aws:ec2/amiLaunchPermission:AmiLaunchPermission": 8,
    "pulumi-nodejs:dynamic/platforms:AmiRecord": 8,
    // The newest AMI of each image and region; tokens of a host.
    "aws:ssm/parameter:Parameter": 9,

    // Two images, both kernels for amd64, in two projects.
    "pulumi-nodejs:dynamic/platforms:GceImage": 4,
    "gcp:compute/imageIamBinding:ImageIamBinding": 4,
    "pulumi-nodejs:dynamic/platforms:GcePromotion": 4,

    "azure-native:compute:Gallery": 1,
    "azure-native:compute:GalleryImage": 4,
    "cloud-images:azure:AzurePublication": 4,
    "pulumi-nodejs:dynamic/platforms:PageBlob": 4,
    "azure-native:compute:GalleryImageVersion": 4,
    "pulumi-nodejs:dynamic/platforms:GalleryRecord": 4,

    // Eight images in two clouds.
    "pulumi-nodejs:dynamic/platforms:GlanceImage": 16,
    "pulumi-nodejs:dynamic/platforms:GlancePromotion": 16,

    "cloud-images:gitlab:Gitlab": 1,
    "cloud-images:gitlab:Project": 2,
    "gitlab:index/project:Project": 2,
    "gitlab:index/branchProtection:BranchProtection": 2,
    "gitlab:index/tagProtection:TagProtection": 1,
    "gitlab:index/projectEnvironment:ProjectEnvironment": 2,
    "gitlab:index/projectProtectedEnvironment:ProjectProtectedEnvironment": 2,
    "gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals": 1,
    "gitlab:index/projectApprovalRule:ProjectApprovalRule": 1,
    "gitlab:index/projectVariable:ProjectVariable": 26,
    "gitlab:index/pipelineSchedule:PipelineSchedule": 3,
    // Each one's name, and how the weekly one gets the repository.
    "gitlab:index/pipelineScheduleVariable:PipelineScheduleVariable": 4,
    "gitlab:index/projectJobTokenScopes:ProjectJobTokenScopes": 2,
    "gitlab:index/projectAccessToken:ProjectAccessToken": 1,
    "gitlab:index/pipelineTrigger:PipelineTrigger": 1,
    // The chat, and the one that starts the pipeline for notes.
    "gitlab:index/projectHook:ProjectHook": 2,
    "gitlab:index/userRunner:UserRunner": 5,

    "cloud-images:runners:RunnerHost": 5,
    "pulumi-nodejs:dynamic/runners:RunnerHealth": 5,
    // EC2
    "aws:autoscaling/group:Group": 1,
    "aws:autoscaling/schedule:Schedule": 2,
    "aws:ec2/launchTemplate:LaunchTemplate": 1,
    "aws:ec2/securityGroup:SecurityGroup": 1,
    "aws:iam/instanceProfile:InstanceProfile": 1,
    "aws:iam/role:Role": 1,
    "aws:iam/rolePolicy:RolePolicy": 1,
    // Compute Engine, twice
    "gcp:compute/firewall:Firewall": 2,
    "gcp:compute/instanceTemplate:InstanceTemplate": 2,
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": 2,
    "gcp:secretmanager/secret:Secret": 2,
    "gcp:secretmanager/secretIamMember:SecretIamMember": 2,
    "gcp:secretmanager/secretVersion:SecretVersion": 2,
    "gcp:serviceaccount/account:Account": 2,
    // Azure
    "azure-native:compute:VirtualMachineScaleSet": 1,
    "azure-native:keyvault:Secret": 1,
    "azure-native:keyvault:Vault": 1,
    "azure-native:managedidentity:UserAssignedIdentity": 1,
    "azure-native:monitor:AutoscaleSetting": 1,
    "azure-native:network:NetworkSecurityGroup": 1,
    // A machine that exists
    "command:remote:Command": 1,
  });
});

it("publishes in two regions or clouds of each platform", () => {
  expect(said("FaiImage", "store")).toEqual([
    "s3://example-org-cloud-images/store?region=eu-central-1",
  ]);
  expect(said("BucketPublication", "root", "formats")).toEqual([
    "s3://example-org-cloud-images/public?region=eu-central-1 qcow2,tar.xz",
  ]);
  expect(said("Ami", "region")).toEqual(["eu-central-1"]);
  expect(said("AmiCopy", "sourceAmiRegion", "region")).toEqual([
    "eu-central-1 us-east-1",
  ]);
  expect(said("AmiRecord", "access.account", "place")).toEqual([
    "123456789012 frankfurt",
    "123456789012 virginia",
  ]);
  expect(said("GceImage", "access.project", "storageLocation")).toEqual([
    "example-org-images eu",
    "example-org-partner-images us",
  ]);
  expect(said("ImageIamBinding", "project", "members")).toEqual([
    "example-org-images allAuthenticatedUsers",
    "example-org-partner-images group:partners@example.org",
  ]);
  expect(said("GalleryImageVersion", "galleryName", "location")).toEqual([
    "debian westeurope",
  ]);
  expect(said("PageBlob", "access.account", "access.container")).toEqual([
    "exampleorgimages disks",
  ]);
  // A preview does not know a version's profile, which its day is part of: what the file says of it.
  const { config } = z
    .object({ config: z.record(z.string(), z.string()) })
    .parse(JSON.parse(shown));
  const { europe } = JSON.parse(config["cloud-images:azure"] ?? "").places;
  expect(europe.regions).toEqual({
    westeurope: { replicas: 2, storage: "Standard_ZRS" },
    northeurope: { replicas: 1 },
  });
  expect(said("GlanceImage", "access.cloud", "format", "visibility")).toEqual([
    "north raw private",
    "south qcow2 shared",
  ]);
});

it("has machines in three clouds, and one that exists", () => {
  expect(said("Group", "region", "minSize", "maxSize")).toEqual([
    "eu-central-1 0 4",
  ]);
  expect(said("RegionInstanceGroupManager", "project", "region")).toEqual([
    "example-org-releases europe-west1",
    "example-org-runners europe-west4",
  ]);
  expect(
    said("InstanceTemplate", "region", "scheduling.provisioningModel"),
  ).toEqual(["europe-west1 STANDARD", "europe-west4 SPOT"]);
  expect(said("VirtualMachineScaleSet", "location", "sku.name")).toEqual([
    "westeurope Standard_D8s_v5",
  ]);
  expect(said("RunnerHealth", "host", "name")).toEqual([
    "merge-ec2 merge-amd64",
    "merge-gce merge-arm64",
    "release-arm release-arm64",
    "release-azure release-amd64",
    "release-project release-project",
  ]);
  // Said for one; how long others may be silent follows from their hours.
  expect(said("RunnerHealth", "host", "silentMinutes")).toContain(
    "release-azure 180",
  );
  expect(
    said("UserRunner", "description", "runnerType", "accessLevel", "tagLists"),
  ).toEqual([
    "merge-amd64 project_type not_protected amd64,kvm,merge",
    "merge-arm64 project_type not_protected arm64,merge",
    "release-amd64 project_type ref_protected amd64,kvm,release",
    "release-arm64 project_type ref_protected arm64,release",
    "release-project project_type ref_protected amd64,kvm,release",
  ]);
});

it("gives jobs what docs/pipeline.md says, and those of merge requests the stack's name alone", () => {
  const variables = steps
    .filter((step) => typeOf(step).endsWith(":ProjectVariable"))
    .map(({ urn, newState: { inputs } }) => {
      const { key, environmentScope, variableType } = inputs;
      const flags = ["protected", "masked", "hidden"].filter(
        (flag) => inputs[flag] === true,
      );
      return [
        ...[urn.split("::gitlab-").at(-1)?.split("-")[0], key],
        ...[environmentScope, variableType, ...flags],
      ].join(" ");
    })
    .sort();
  expect(variables).toEqual([
    "image AWS_ROLE_ARN * env_var protected",
    "image AZURE_CLIENT_ID * env_var protected",
    "image AZURE_CLIENT_ID images env_var protected",
    "image AZURE_TENANT_ID * env_var protected",
    "image CLOUD_IMAGES_GOOGLE_ACCOUNT * env_var protected",
    "image CLOUD_IMAGES_GOOGLE_ACCOUNT images env_var protected",
    "image CLOUD_IMAGES_GOOGLE_PROVIDER * env_var protected",
    "image CLOUD_IMAGES_NOTE_TOKEN * env_var protected masked",
    "image CLOUD_IMAGES_RELEASE_PROJECT * env_var protected",
    "image CLOUD_IMAGES_STACK * env_var",
    "image OS_CLIENT_CONFIG_FILE * file protected",
    "image OS_CLIENT_SECURE_FILE * file protected",
    "image PULUMI_BACKEND_URL * env_var protected",
    "image PULUMI_CONFIG_PASSPHRASE * env_var protected masked hidden",
    "release AWS_ROLE_ARN * env_var protected",
    "release AZURE_CLIENT_ID release env_var protected",
    "release AZURE_TENANT_ID release env_var protected",
    "release CLOUD_IMAGES_GOOGLE_ACCOUNT release env_var protected",
    "release CLOUD_IMAGES_GOOGLE_PROVIDER release env_var protected",
    "release CLOUD_IMAGES_IMAGE_PROJECT * env_var",
    "release CLOUD_IMAGES_NOTE_TOKEN * env_var protected masked",
    "release CLOUD_IMAGES_RELEASE_STACK * env_var protected",
    "release OS_CLIENT_CONFIG_FILE release file protected",
    "release OS_CLIENT_SECURE_FILE release file protected",
    "release PULUMI_BACKEND_URL * env_var protected",
    "release PULUMI_CONFIG_PASSPHRASE release env_var protected masked hidden",
  ]);
});

it("starts pipelines by the clock, and says who may do what", () => {
  expect(
    said("PipelineSchedule", "description", "cron", "cronTimezone"),
  ).toEqual([
    "daily 14 14 * * * UTC",
    "drift 30 6 * * 1-5 Europe/Berlin",
    "weekly 14 4 * * 6 Europe/Berlin",
  ]);
  expect(said("PipelineScheduleVariable", "key")).toEqual([
    "CLOUD_IMAGES_SCHEDULE",
    "GIT_STRATEGY",
  ]);
  expect(inputsOf("ProjectProtectedEnvironment")).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ environment: "images", approvalRules: [] }),
      expect.objectContaining({
        environment: "release",
        approvalRules: [{ groupId: 4712, requiredApprovals: 1 }],
      }),
    ]),
  );
  expect(
    said("Project", "path", "ciPipelineVariablesMinimumOverrideRole"),
  ).toContain("cloud-images maintainer");
  expect(said("BranchProtection", "branch", "pushAccessLevel")).toEqual([
    "main maintainer",
    "main no one",
  ]);
  expect(said("TagProtection", "tag", "createAccessLevel")).toEqual([
    "v* maintainer",
  ]);
  expect(
    said("ProjectHook", "name", "pipelineEvents", "deploymentEvents"),
  ).toEqual(["chat true false", "notes false true"]);
});

it("shows no secret, and is the file as it stands in the repository", async () => {
  expect(shown).not.toMatch(/not-(a-)?real/);
  expect(await readFile(project.path("Pulumi.prod.yaml"), "utf8")).toBe(
    await readFile(projectPath("Pulumi.prod.yaml"), "utf8"),
  );
});
