/** Machines of runners in three clouds, declared through the real engine, as strict stand-ins show them afterwards. */

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { GetRolePolicyCommand, IAMClient } from "@aws-sdk/client-iam";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { projectPath } from "../../infra/projectPaths.ts";
import { keptVariable } from "../doubles/aws/cloud.ts";
import { machineFiles } from "../doubles/aws/machines.ts";
import { azureStateVariable } from "../doubles/azure/cloud.ts";
import { gcpStateVariable } from "../doubles/gcp/machines.ts";
import { TestGitlab } from "../doubles/gitlab/testGitlab.ts";
import { requireSuccess, TestProgram } from "../doubles/program.ts";
import { ResourceFiles } from "../doubles/resourceFiles.ts";
import type { Properties } from "../doubles/values.ts";
import type { LocalServer } from "../servers/localServer.ts";
import { startMoto } from "../servers/moto.ts";
import { sampleHosts, sampleRunners } from "./sampleHosts.ts";

// Each brings a stack up.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 });

let directory: string;
let moto: LocalServer;
let gitlab: TestGitlab;
let program: TestProgram;

const credentials = { AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x" };
const region = "eu-central-1";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cloud-hosts-"));
  moto = await startMoto(directory);
  gitlab = await TestGitlab.create();
  program = await TestProgram.create({
    ...gitlab.env,
    ...credentials,
    [keptVariable]: join(directory, "aws"),
    [gcpStateVariable]: join(directory, "gcp"),
    [azureStateVariable]: join(directory, "azure"),
  });
  await declare(hosts());
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await gitlab?.[Symbol.asyncDispose]();
  await moto?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function hosts(az: object = {}, gce: object = {}) {
  const { existing: _, ...clouds } = sampleHosts;
  return {
    ...clouds,
    ec2: { ...clouds.ec2, endpoint: moto.url },
    gce: { ...clouds.gce, ...gce },
    az: { ...clouds.az, publicAddress: true, ...az },
  };
}

/** A program that declares GitLab, its runners and their machines. */
async function declare(declared: object): Promise<void> {
  const config = {
    url: "https://gitlab.example",
    group: 42,
    image: { path: "images" },
    runners: sampleRunners,
  };
  await program.write(`
import { declareGitlab } from "${projectPath("infra/gitlabProgram.ts")}";
import { gitlabConfigSchema } from "${projectPath("infra/gitlab/gitlabConfig.ts")}";
import { declareRunnerHosts } from "${projectPath("infra/runnersProgram.ts")}";
import { runnerHostsConfigSchema } from "${projectPath("infra/runners/runnerHostsConfig.ts")}";
const config = gitlabConfigSchema.parse(${JSON.stringify(config)});
const hosts = runnerHostsConfigSchema.parse(${JSON.stringify(declared)});
await declareRunnerHosts(hosts, config, declareGitlab(config));
`);
}

/** The only thing whose id is like that. */
async function only(files: ResourceFiles, id: RegExp): Promise<Properties> {
  const found = (await files.all()).filter((each) => id.test(String(each.id)));
  expect(found, String(id)).toHaveLength(1);
  return found[0] as Properties;
}

const awsFiles = () => machineFiles(join(directory, "aws"));
const gcpFiles = () => new ResourceFiles(join(directory, "gcp"));
const azureFiles = () => new ResourceFiles(join(directory, "azure"));

/** What a machine is given, in clear. */
function userData(base64: unknown): string {
  const bytes = Buffer.from(String(base64), "base64");
  return bytes[0] === 0x1f
    ? gunzipSync(bytes).toString("utf8")
    : bytes.toString("utf8");
}

/** The script in a cloud-config. */
function scriptIn(text: string): string {
  expect(text).toMatch(/^#cloud-config\n/);
  const { write_files, runcmd } = parse(text) as {
    write_files: { path: string; content: string; permissions: string }[];
    runcmd: string[][];
  };
  expect(write_files).toHaveLength(1);
  expect(runcmd).toEqual([[write_files[0]?.path]]);
  expect(write_files[0]?.permissions).toBe("0755");
  return write_files[0]?.content ?? "";
}

function tokenOf(runner: string): string {
  const found = Object.values(gitlab.things("UserRunner")).find(
    ({ description }) => description === runner,
  );
  return String(found?.token);
}

async function stateText(): Promise<string> {
  const backend = join(program.directory, "backend");
  const names = await readdir(backend, { recursive: true });
  const texts = await Promise.all(
    names
      .filter((name) => name.includes(".json"))
      .map((name) => readFile(join(backend, name), "utf8")),
  );
  return texts.join("\n");
}

test("a preview shows all of it, and makes nothing", async () => {
  const preview = await program.pulumi("preview");
  requireSuccess(preview);
  for (const type of [
    ...["LaunchTemplate", "Group", "Schedule", "SecurityGroup"],
    ...["InstanceTemplate", "RegionInstanceGroupManager", "RegionAutoscaler"],
    ...["VirtualMachineScaleSet", "Vault", "AutoscaleSetting", "RunnerHealth"],
  ]) {
    expect(preview.output).toMatch(new RegExp(`:${type} +runner-`));
  }
  expect(await awsFiles().calls()).toEqual([]);
});

test("comes up, and stays as it is", async () => {
  const up = await program.up();
  requireSuccess(up);
  const again = await program.up("--expect-no-changes");
  requireSuccess(again);
});

test("GitLab has to hear of machines that there always are", async () => {
  const file = join(directory, "state.json");
  requireSuccess(await program.pulumi("stack", "export", "--file", file));
  const { deployment } = JSON.parse(await readFile(file, "utf8")) as {
    deployment: { resources: { type: string; outputs?: Properties }[] };
  };
  const healths = deployment.resources
    .filter(({ type }) => type.endsWith(":RunnerHealth"))
    .map(({ outputs: { host, name, machines, silentMinutes } = {} }) => [
      host,
      name,
      machines,
      silentMinutes,
    ]);
  expect(healths.sort()).toEqual([
    ["az", "release-arm64", 0, 8 * 24 * 60],
    ["ec2", "merge-amd64", 0, 8 * 24 * 60],
    ["gce", "release-amd64", 1, 120],
  ]);
});

test("no token is in the state, in what is printed, or in what machines are given", async () => {
  const shown = await program.pulumi("stack", "export");
  requireSuccess(shown);
  const template = await only(awsFiles(), /lt-/);
  const metadata = (await only(gcpFiles(), /instanceTemplates/)).metadata;
  const scaleSet = await only(azureFiles(), /virtualMachineScaleSets/);
  const clear = [
    shown.output,
    await stateText(),
    userData(template.userData),
    JSON.stringify(metadata),
    JSON.stringify(scaleSet),
  ];
  for (const runner of Object.keys(sampleRunners)) {
    const token = tokenOf(runner);
    expect(token).toMatch(/^glrt-/);
    for (const text of clear) expect(text).not.toContain(token);
    for (const text of clear) {
      expect(text).not.toContain(Buffer.from(token).toString("base64"));
    }
  }
});

test("machines in EC2 let nobody in, and read their own tokens alone", async () => {
  const files = awsFiles();
  const group = await only(files, /sg-/);
  expect(group.ingress).toEqual([]);
  const template = await only(files, /lt-/);
  expect(template).toMatchObject({
    metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
    cpuOptions: { nestedVirtualization: "enabled" },
    networkInterfaces: [
      { associatePublicIpAddress: "false", securityGroups: [group.id] },
    ],
  });
  const name = "/cloud-images/test/runners/ec2";
  const settings = { endpoint: moto.url, region };
  const client = {
    ...settings,
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
  };
  const { Parameter } = await new SSMClient(client).send(
    new GetParameterCommand({ Name: name, WithDecryption: true }),
  );
  expect(Parameter?.Type).toBe("SecureString");
  expect(JSON.parse(String(Parameter?.Value))).toEqual({
    "merge-amd64": tokenOf("merge-amd64"),
  });
  const profile = await only(files, /runner-ec2-profile/);
  const { PolicyDocument } = await new IAMClient(client).send(
    new GetRolePolicyCommand({
      RoleName: String(profile.role),
      PolicyName: await policyName(),
    }),
  );
  expect(JSON.parse(decodeURIComponent(String(PolicyDocument)))).toMatchObject({
    Statement: [
      { Action: "ssm:GetParameter", Resource: [Parameter?.ARN] },
      {
        Action: ["s3:GetObject", "s3:PutObject"],
        Resource: ["arn:aws:s3:::merge-cache/*"],
      },
    ],
  });
  const script = scriptIn(userData(template.userData));
  expect(script).toContain(`TOKENS_NAME=${name}:1\n`);
});

async function policyName(): Promise<string> {
  return /runner-ec2-policy-[0-9a-f]+/.exec(await stateText())?.[0] ?? "";
}

test("hours start and end machines in each cloud", async () => {
  const start = await only(awsFiles(), /\/start/);
  const end = await only(awsFiles(), /\/end/);
  expect(start).toMatchObject({
    ...{ recurrence: "0 6 * * 1,2,3,4,5", timeZone: "Europe/Berlin" },
    ...{ desiredCapacity: 3, minSize: -1, maxSize: -1 },
  });
  expect(end).toMatchObject({
    ...{ recurrence: "0 20 * * 1,2,3,4,5", desiredCapacity: 0 },
  });
  expect(await only(gcpFiles(), /autoscalers/)).toMatchObject({
    autoscalingPolicy: {
      ...{ minReplicas: 1, maxReplicas: 2 },
      scalingSchedules: [
        {
          ...{ minRequiredReplicas: 2, durationSec: 14 * 3600 },
          ...{ schedule: "0 6 * * 1,2,3,4,5", timeZone: "Europe/Berlin" },
        },
      ],
    },
  });
  const { profiles } = await only(azureFiles(), /autoscaleSettings/);
  expect(profiles).toMatchObject([
    {
      capacity: { default: "2" },
      recurrence: { schedule: { hours: [6], days: ["Sunday", "Saturday"] } },
    },
    { capacity: { default: "0" }, recurrence: { schedule: { hours: [20] } } },
  ]);
});

test("machines in Compute Engine have an account of their own, and no address", async () => {
  const template = await only(gcpFiles(), /instanceTemplates/);
  const account = await only(gcpFiles(), /serviceAccounts\/runner-gce@/);
  expect(template).toMatchObject({
    ...{
      machineType: "n2-standard-4",
      serviceAccount: { email: account.email },
    },
    advancedMachineFeatures: { enableNestedVirtualization: true },
    scheduling: { provisioningModel: "SPOT" },
    disks: [{ diskType: "pd-balanced" }],
    networkInterfaces: [{ subnetwork: "release", accessConfigs: [] }],
  });
  const metadata = template.metadata as Record<string, string>;
  expect(metadata["startup-script"]).toMatch(/^#!\/bin\/bash\n.*\nmain\n$/s);
  expect(metadata["startup-script"]).toContain(
    "TOKENS_NAME=projects/a-project/secrets/cloud-images-test-runner-gce/versions/",
  );
  expect(await only(gcpFiles(), /firewalls/)).toMatchObject({
    denies: [{ protocol: "all" }],
    targetServiceAccounts: [account.email],
  });
});

test("machines in Azure have an identity of their own, which reads one vault", async () => {
  const identity = await only(azureFiles(), /userAssignedIdentities/);
  const vault = await only(azureFiles(), /vaults\/[^/]+$/);
  expect(vault).toMatchObject({
    properties: {
      accessPolicies: [
        { objectId: identity.principalId, permissions: { secrets: ["get"] } },
      ],
    },
  });
  const scaleSet = await only(azureFiles(), /virtualMachineScaleSets/);
  expect(scaleSet).toMatchObject({
    identity: { userAssignedIdentities: [identity.id] },
    spotRestorePolicy: { enabled: true },
    virtualMachineProfile: {
      priority: "Spot",
      osProfile: { adminUsername: "runneradmin" },
      networkProfile: {
        networkInterfaceConfigurations: [
          {
            networkSecurityGroup: { id: expect.stringContaining("runner-az") },
          },
        ],
      },
    },
  });
  const { osProfile } = scaleSet.virtualMachineProfile as {
    osProfile: { customData: string };
  };
  expect(scriptIn(userData(osProfile.customData))).toMatch(
    /TOKENS_NAME=https:\/\/runner-[0-9a-f]{16}\.vault\.azure\.net\/secrets\/runners\/0+1\n/,
  );
});

test.each<[string, object]>([
  ["disk", { diskGiB: 200 }],
  ["size", { size: "Standard_D8ps_v6" }],
])("another %s makes other machines in Azure", async (_what, change) => {
  const before = await only(azureFiles(), /virtualMachineScaleSets/);
  await declare(hosts(change));
  requireSuccess(await program.up());
  const after = await only(azureFiles(), /virtualMachineScaleSets/);
  expect(after.id).not.toBe(before.id);
});

test("machines in Compute Engine that take no persistent disks have others", async () => {
  await declare(hosts({}, { machineType: "n4-standard-4" }));
  requireSuccess(await program.up());
  expect(await only(gcpFiles(), /instanceTemplates/)).toMatchObject({
    disks: [{ diskType: "hyperdisk-balanced" }],
  });
});

test("a runner that is made anew makes new machines, with its new token", async () => {
  const before = await only(awsFiles(), /lt-/);
  gitlab.change((world) => {
    for (const each of Object.values(world.things)) {
      for (const [id, { description }] of Object.entries(each)) {
        if (description === "merge-amd64") delete each[id];
      }
    }
  });
  const up = await program.up("--refresh", "--exclude", "**RunnerHealth**");
  requireSuccess(up);
  const after = await only(awsFiles(), /lt-/);
  expect(after.latestVersion).toBe(Number(before.latestVersion) + 1);
  expect(scriptIn(userData(after.userData))).toContain("runners/ec2:2\n");
  expect(await stateText()).not.toContain(tokenOf("merge-amd64"));
});

test("everything goes when it is taken out", async () => {
  await declare({});
  const up = await program.up();
  requireSuccess(up);
  for (const files of [awsFiles(), gcpFiles(), azureFiles()]) {
    expect(await files.all()).toEqual([]);
  }
});
