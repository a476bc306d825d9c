import {
  DeleteSnapshotCommand,
  DeregisterImageCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  ModifyImageAttributeCommand,
} from "@aws-sdk/client-ec2";
import { GetParameterCommand, PutParameterCommand } from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestProgram } from "../program.ts";
import { TestAccount } from "./account.ts";
import { keepImage, keptImage, keptVariable } from "./cloud.ts";

const region = "eu-central-1";
const otherRegion = "us-east-1";
const providerUrn = "urn:pulumi:test::double::pulumi:providers:aws::here";

let account: TestAccount;
let program: TestProgram;

/** The snapshot that the AMI is made from, until a test makes another. */
let snapshot: string;

// One stack goes through all tests, as each run of the engine takes seconds.
beforeAll(async () => {
  account = await TestAccount.create();
  program = await TestProgram.create(account.env);
  process.env[keptVariable] = account.directory;
  snapshot = await account.makeSnapshot(region, "disk");
  await program.write(providers() + ami(snapshot) + dependents);
  const up = await program.up();
  if (up.exitCode !== 0) throw new Error(up.output);
});

afterAll(async () => {
  await program?.[Symbol.asyncDispose]();
  await account?.[Symbol.asyncDispose]();
});

/** The beginning of every program. */
function providers(): string {
  return `import * as aws from "@pulumi/aws";
const provider = new aws.Provider("here", ${account.providerArgs(region)});
const other = new aws.Provider("there", ${account.providerArgs(otherRegion)});
`;
}

interface Changes {
  readonly name?: string;
  readonly description?: string;
  readonly tpm?: string;
  readonly options?: string;
}

function ami(snapshot: string, changes: Changes = {}): string {
  const {
    name = "debian-13-amd64",
    description = "Debian 13",
    tpm = "v2.0",
    options = "",
  } = changes;
  return `const ami = new aws.ec2.Ami("ami", {
  name: "${name}", description: "${description}", architecture: "x86_64", bootMode: "uefi-preferred",
  virtualizationType: "hvm", tpmSupport: "${tpm}", imdsSupport: "v2.0", enaSupport: true,
  rootDeviceName: "/dev/xvda", deprecationTime: "2038-11-21T00:00:00Z", tags: { "cloud-images:stack": "test" },
  ebsBlockDevices: [{ deviceName: "/dev/xvda", snapshotId: "${snapshot}", volumeType: "gp3" }],
}, { provider, ${options} });
export const id = ami.id;
`;
}

const dependents = `new aws.ec2.AmiLaunchPermission("everybody", { imageId: ami.id, group: "all" }, { provider });
new aws.ec2.AmiCopy("copy", {
  name: "debian-13-amd64", sourceAmiId: ami.id, sourceAmiRegion: "${region}", tags: { "cloud-images:stack": "test" },
}, { provider: other });
new aws.ssm.Parameter("latest", {
  name: "/cloud-images/latest", type: "String", dataType: "aws:ec2:image", value: ami.id,
}, { provider });
`;

async function imagesIn(where: string) {
  const { Images = [] } = await account
    .ec2(where)
    .send(new DescribeImagesCommand({ Owners: ["self"] }));
  return Images;
}

async function snapshotsIn(where: string): Promise<readonly string[]> {
  const { Snapshots = [] } = await account
    .ec2(where)
    .send(new DescribeSnapshotsCommand({}));
  return Snapshots.map(({ SnapshotId = "" }) => SnapshotId);
}

async function latest(): Promise<string | undefined> {
  const { Parameter } = await account
    .ssm(region)
    .send(new GetParameterCommand({ Name: "/cloud-images/latest" }));
  return Parameter?.Value;
}

async function idOf(): Promise<string> {
  const images = await imagesIn(region);
  expect(images).toHaveLength(1);
  return images[0]?.ImageId ?? "";
}

test("AMIs, copies, permissions and parameters come to be, and show no changes", async () => {
  const id = await idOf();
  const [image] = await imagesIn(region);
  expect(image).toMatchObject({
    Name: "debian-13-amd64",
    Description: "Debian 13",
    Architecture: "x86_64",
    BootMode: "uefi-preferred",
    TpmSupport: "v2.0",
    ImdsSupport: "v2.0",
    EnaSupport: true,
    DeprecationTime: "2038-11-21T00:00:00.000Z",
    RootDeviceName: "/dev/xvda",
    BlockDeviceMappings: [
      { DeviceName: "/dev/xvda", Ebs: { SnapshotId: snapshot, VolumeSize: 1 } },
    ],
    Public: true,
    Tags: [{ Key: "cloud-images:stack", Value: "test" }],
  });
  expect(await imagesIn(otherRegion)).toMatchObject([
    { Name: "debian-13-amd64", BootMode: "uefi-preferred", Public: false },
  ]);
  expect(await snapshotsIn(otherRegion)).toHaveLength(1);
  expect(await latest()).toBe(id);
  await expect(
    account
      .ec2(region)
      .send(new DeleteSnapshotCommand({ SnapshotId: snapshot })),
  ).rejects.toMatchObject({ name: "InvalidSnapshot.InUse" });

  const preview = await program.pulumi(
    ...["preview", "--refresh", "--expect-no-changes"],
  );
  expect(preview).toMatchObject({ exitCode: 0 });
});

test("what changed behind Pulumi's back shows in a refresh and is put right", async () => {
  const id = await idOf();
  await account.ssm(region).send(
    new PutParameterCommand({
      Name: "/cloud-images/latest",
      Value: "ami-00000000",
      DataType: "aws:ec2:image",
      Overwrite: true,
    }),
  );
  await account.ec2(region).send(
    new ModifyImageAttributeCommand({
      ImageId: id,
      LaunchPermission: { Remove: [{ Group: "all" }] },
    }),
  );
  await keepImage(id, { ...(await keptImage(id)), description: "Altered" });
  const [copy] = await imagesIn(otherRegion);
  await account
    .ec2(otherRegion)
    .send(new DeregisterImageCommand({ ImageId: copy?.ImageId ?? "" }));

  const preview = await program.pulumi(
    ...["preview", "--refresh", "--diff", "--expect-no-changes"],
  );
  expect(preview.exitCode).not.toBe(0);
  expect(preview.output).toMatch(/~ description *: "Altered" => "Debian 13"/);
  expect(preview.output).toMatch(/\+ aws:ec2\/amiCopy:AmiCopy: \(create\)/);
  expect(preview.output).toMatch(
    /\+ aws:ec2\/amiLaunchPermission:AmiLaunchPermission: \(create\)/,
  );
  expect(preview.output).toMatch(/~ aws:ssm\/parameter:Parameter: \(update\)/);

  expect(await program.up("--refresh")).toMatchObject({ exitCode: 0 });
  expect(await latest()).toBe(id);
  expect(await imagesIn(region)).toMatchObject([{ Public: true }]);
  expect(await imagesIn(otherRegion)).toHaveLength(1);
  expect(await keptImage(id)).toMatchObject({ description: "Debian 13" });
});

test("descriptions change in place", async () => {
  const id = await idOf();
  await program.write(
    providers() + ami(snapshot, { description: "Other" }) + dependents,
  );
  expect(await program.up()).toMatchObject({ exitCode: 0 });
  expect(await imagesIn(region)).toMatchObject([
    { ImageId: id, Description: "Other" },
  ]);
});

test("what is fixed at registration makes a new AMI, the old one and what hangs on it first", async () => {
  const old = await idOf();
  snapshot = await account.makeSnapshot(region, "other disk");
  await program.write(
    providers() + ami(snapshot, { options: "retainOnDelete: true" }),
  );
  expect(await program.up()).toMatchObject({ exitCode: 0 });
  const id = await idOf();
  expect(id).not.toBe(old);
  expect(await imagesIn(otherRegion)).toEqual([]);
  // The second copy's snapshot went with it. The first copy's is left from when it was deregistered by hand.
  expect(await snapshotsIn(otherRegion)).toHaveLength(1);
  await expect(latest()).rejects.toThrow(/not found/i);
});

test("an AMI that is there already is imported as docs/ec2.md says, and shows no changes", async () => {
  const id = await idOf();
  await program.write(providers());
  expect(await program.up()).toMatchObject({ exitCode: 0 });
  expect(await idOf()).toBe(id);

  const imported = await program.pulumi(
    ...["import", "aws:ec2/ami:Ami", "ami", id],
    ...["--provider", `here=${providerUrn}`, "--yes", "--protect=false"],
    ...["--generate-code=false", "--skip-preview"],
  );
  expect(imported).toMatchObject({ exitCode: 0 });
  await program.write(providers() + ami(snapshot));
  const preview = await program.pulumi("preview", "--expect-no-changes");
  expect(preview).toMatchObject({ exitCode: 0 });
});

test("a preview refuses values that EC2 does not know", async () => {
  await program.write(providers() + ami(snapshot, { tpm: "v1.2" }));
  const preview = await program.pulumi("preview");
  expect(preview.exitCode).not.toBe(0);
  expect(preview.output).toMatch(/tpmSupport .*to be one of v2\.0, got v1\.2/);
});

test("what EC2 and Systems Manager refuse is refused, and moves nothing else", async () => {
  const id = await idOf();
  await program.write(
    `${providers()}${ami(snapshot)}
const hvm = { architecture: "x86_64", virtualizationType: "hvm", rootDeviceName: "/dev/xvda" };
const disk = (snapshotId) => ({ ebsBlockDevices: [{ deviceName: "/dev/xvda", snapshotId }] });
new aws.ec2.Ami("taken", { ...hvm, ...disk("${snapshot}"), name: ami.name }, { provider });
new aws.ec2.Ami("missing", { ...hvm, ...disk("snap-00000000"), name: "missing" }, { provider });
new aws.ec2.AmiLaunchPermission("nobody", { imageId: "ami-00000000", group: "all" }, { provider });
new aws.ssm.Parameter("dangling", {
  name: "/dangling", type: "String", dataType: "aws:ec2:image", value: "ami-00000000",
}, { provider });
`,
  );
  const up = await program.up("--continue-on-error");
  expect(up.exitCode).not.toBe(0);
  expect(up.output).toMatch(
    /InvalidAMIName\.Duplicate: AMI name debian-13-amd64 is already in use by AMI ami-/,
  );
  expect(up.output).toMatch(/InvalidSnapshot\.NotFound: The snapshot 'snap-0/);
  expect(up.output).toMatch(/InvalidAMIID\.NotFound/);
  expect(up.output).toMatch(/ValidationException: .*ami-00000000/);
  expect(await idOf()).toBe(id);
});

test("a destroy deregisters the AMI, and leaves the snapshot that was not the plugin's", async () => {
  const destroy = await program.pulumi("destroy", "--yes", "--skip-preview");
  expect(destroy).toMatchObject({ exitCode: 0 });
  expect(await imagesIn(region)).toEqual([]);
  expect(await snapshotsIn(region)).toContain(snapshot);
});
