/** The worked example, Pulumi.prod.yaml, previewed by the real engine against stand-ins: everything that it declares. */

import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { projectPath } from "../infra/projectPaths.ts";
import { keptVariable } from "./doubles/aws/cloud.ts";
import { azureStateVariable } from "./doubles/azure/cloud.ts";
import { gcpStateVariable } from "./doubles/gcp/machines.ts";
import { TestGitlab } from "./doubles/gitlab/testGitlab.ts";
import { EngineProject } from "./engineProject.ts";
import type { LocalServer } from "./servers/localServer.ts";
import { startMoto } from "./servers/moto.ts";

const region = "eu-central-1";
const credentials = { accessKeyId: "x", secretAccessKey: "x" };

let directory: string;
let moto: LocalServer;
let gitlab: TestGitlab;
let project: EngineProject;

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
  project = new EngineProject(join(directory, "project"));
  await project.fill();
  await rm(project.path("image-definitions"), { recursive: true });
  await cp(
    projectPath("image-definitions"),
    project.path("image-definitions"),
    { recursive: true },
  );
  // The archive of this machine says what the keys are.
  await rm(project.path("bin/apt-get"));
  await project.init();
  const text = await readFile(projectPath("Pulumi.prod.yaml"), "utf8");
  const { config } = parse(text) as { config: Record<string, unknown> };
  const sections = Object.entries(config).map(([key, value]) => [
    key.replace("cloud-images:", ""),
    value,
  ]);
  await project.configure({
    ...{ directory: undefined, archive: undefined },
    ...Object.fromEntries(sections),
  });
});

afterAll(async () => {
  await project?.remove();
  await gitlab?.[Symbol.asyncDispose]();
  await moto?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const stepsSchema = z.looseObject({
  steps: z.array(z.looseObject({ op: z.string(), urn: z.string() })),
});

it("shows the whole fleet in a preview, without a credential", {
  timeout: 300_000,
}, async () => {
  const { exitCode, output } = await project.run(["preview", "--json"], {
    ...gitlab.env,
    AWS_ENDPOINT_URL: moto.url,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    [keptVariable]: join(directory, "aws"),
    [gcpStateVariable]: join(directory, "gcp"),
    [azureStateVariable]: join(directory, "azure"),
  });
  expect(exitCode, output).toBe(0);
  const { steps } = stepsSchema.parse(
    JSON.parse(output.slice(output.indexOf("{"))),
  );
  expect(new Set(steps.map(({ op }) => op))).toEqual(new Set(["create"]));
  const counts: Record<string, number> = {};
  for (const { urn } of steps) {
    const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
    counts[type] = (counts[type] ?? 0) + 1;
  }
  // Ten variants and kernels for each of two architectures.
  expect(counts).toMatchObject({
    "cloud-images:release:ImageVersion": 20,
    "pulumi-nodejs:dynamic/image:FaiImage": 20,
    "pulumi-nodejs:dynamic/platforms:BucketPublication": 20,
    "aws:ec2/ami:Ami": 4,
    "aws:ec2/amiCopy:AmiCopy": 4,
    "pulumi-nodejs:dynamic/platforms:GceImage": 4,
    "azure-native:compute:GalleryImageVersion": 4,
    "pulumi-nodejs:dynamic/platforms:GlanceImage": 16,
    "gitlab:index/project:Project": 2,
    "gitlab:index/pipelineSchedule:PipelineSchedule": 3,
    "gitlab:index/userRunner:UserRunner": 4,
    "cloud-images:runners:RunnerHost": 4,
    "aws:autoscaling/group:Group": 1,
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": 1,
    "azure-native:compute:VirtualMachineScaleSet": 1,
    "command:remote:Command": 1,
  });
});
