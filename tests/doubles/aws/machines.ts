/** Machines of EC2 and what they need: kept in files, with what AWS refuses of them. moto's autoscaling takes anything. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { isNumericCron } from "../cron.ts";
import { type KeptDetails, keptKind, refuseUnless } from "../keptKind.ts";
import { ResourceFiles } from "../resourceFiles.ts";
import { isList, isObject, type Properties, type Value } from "../values.ts";
import { type AwsCloud, keptVariable } from "./cloud.ts";
import { shapes } from "./shapes.ts";

/** Machines that a test finds, in the directory of what moto drops. */
export function machineFiles(
  directory = process.env[keptVariable] ?? "",
): ResourceFiles {
  return new ResourceFiles(join(directory, "machines"));
}

function idLike(prefix: string, inputs: Properties): string {
  const hash = createHash("sha256").update(String(inputs.name)).digest("hex");
  return `${prefix}-${hash.slice(0, 17)}`;
}

function arnOf(service: string, rest: string): string {
  return `arn:aws:${service}:eu-central-1:123456789012:${rest}`;
}

function kind(
  module: string,
  name: string,
  details: Omit<KeptDetails<AwsCloud>, "shape" | "files">,
) {
  return keptKind<AwsCloud>({
    shape: shapes.ofResource(module, name),
    files: () => machineFiles(),
    ...details,
  });
}

function object(value: Value | undefined): Properties {
  return isObject(value) ? value : {};
}

function list(value: Value | undefined): readonly Properties[] {
  return isList(value) ? value.map(object) : [];
}

const securityGroupKind = kind("ec2/securityGroup", "SecurityGroup", {
  nameProperty: "name",
  defaults: { revokeRulesOnDelete: false },
  updatable: ["ingress", "egress", "tags", "revokeRulesOnDelete"],
  computed: ["egress", "ingress", "namePrefix", "vpcId"],
  outputs: ["arn", "ownerId", "tagsAll"],
  idOf: (_cloud, inputs) => idLike("sg", inputs),
  outputsOf: (id) => ({ arn: arnOf("ec2", `security-group/${id}`) }),
  refuse({ name, description, vpcId }) {
    refuseUnless(
      /^(?!sg-)[\w .:/()#,@[\]+=&;{}!$*-]{1,255}$/.test(String(name)),
      `InvalidParameterValue: Value (${name}) for parameter GroupName is invalid.`,
    );
    refuseUnless(
      /^[\w .:/()#,@[\]+=&;{}!$*-]{0,255}$/.test(String(description)),
      `InvalidParameterValue: Value (${description}) for parameter GroupDescription is invalid.`,
    );
    refuseUnless(
      /^vpc-[0-9a-f]+$/.test(String(vpcId)),
      `InvalidVpcID.NotFound: The vpc ID '${vpcId}' does not exist`,
    );
  },
});

const instanceProfileKind = kind("iam/instanceProfile", "InstanceProfile", {
  nameProperty: "name",
  defaults: { path: "/" },
  updatable: ["role", "tags"],
  computed: ["namePrefix"],
  outputs: ["arn", "createDate", "tagsAll", "uniqueId"],
  idOf: (_cloud, { name }) => String(name),
  outputsOf: (id) => ({
    arn: `arn:aws:iam::123456789012:instance-profile/${id}`,
  }),
  refuse({ name }) {
    refuseUnless(
      /^[\w+=,.@-]{1,128}$/.test(String(name)),
      "ValidationError: The specified value for instanceProfileName is invalid.",
    );
  },
});

/** What EC2 takes as user data, decoded. */
const userDataBytes = 16_384;

const launchTemplateKind = kind("ec2/launchTemplate", "LaunchTemplate", {
  nameProperty: "name",
  updatable: [
    ...shapes.ofResource("ec2/launchTemplate", "LaunchTemplate").keys(),
  ].filter((name) => !["name", "namePrefix", "region"].includes(name)),
  computed: ["defaultVersion", "namePrefix"],
  outputs: ["arn", "latestVersion", "tagsAll"],
  idOf: (_cloud, inputs) => idLike("lt", inputs),
  outputsOf: (id, _inputs, before) => ({
    arn: arnOf("ec2", `launch-template/${id}`),
    latestVersion: Number(before?.latestVersion ?? 0) + 1,
  }),
  refuse(inputs) {
    const { name, userData, vpcSecurityGroupIds, networkInterfaces } = inputs;
    refuseUnless(
      /^[\w()./-]{3,128}$/.test(String(name)),
      `InvalidLaunchTemplateName.MalformedException: ${name}`,
    );
    const decoded = Buffer.from(String(userData ?? ""), "base64");
    refuseUnless(
      decoded.toString("base64") === String(userData ?? ""),
      "InvalidUserData.Malformed: Invalid BASE64 encoding of user data.",
    );
    refuseUnless(
      decoded.length <= userDataBytes,
      "InvalidParameterValue: User data is limited to 16384 bytes",
    );
    refuseUnless(
      networkInterfaces === undefined || vpcSecurityGroupIds === undefined,
      "InvalidParameterCombination: Network interfaces and an instance-level security groups may not be specified on the same request",
    );
    const nested = object(inputs.cpuOptions).nestedVirtualization;
    refuseUnless(
      nested === undefined || nested === "enabled" || nested === "disabled",
      `InvalidParameterValue: nestedVirtualization ${nested}`,
    );
    const { httpTokens, httpEndpoint } = object(inputs.metadataOptions);
    refuseUnless(
      ["optional", "required", undefined].includes(httpTokens as string) &&
        ["enabled", "disabled", undefined].includes(httpEndpoint as string),
      "InvalidParameterValue: metadataOptions",
    );
    for (const { resourceType } of list(inputs.tagSpecifications)) {
      refuseUnless(
        ["instance", "volume", "network-interface"].includes(
          String(resourceType),
        ),
        `InvalidParameterValue: '${resourceType}' is not a valid taggable resource type`,
      );
    }
  },
});

/** Families with nested virtualisation. */
const nestedTypes = /^[cmr]8i[a-z]*(-flex)?\.(?!metal)/;

const groupKind = kind("autoscaling/group", "Group", {
  nameProperty: "name",
  updatable: [...shapes.ofResource("autoscaling/group", "Group").keys()].filter(
    (name) => !["name", "namePrefix", "region"].includes(name),
  ),
  computed: ["desiredCapacity", "namePrefix", "availabilityZones"],
  outputs: ["arn", "predictedCapacity", "warmPoolSize"],
  idOf: (_cloud, { name }) => String(name),
  outputsOf: (id, { desiredCapacity, minSize }, before) => ({
    arn: arnOf("autoscaling", `autoScalingGroup:x:autoScalingGroupName/${id}`),
    desiredCapacity: desiredCapacity ?? before?.desiredCapacity ?? minSize,
  }),
  async refuse(inputs, files) {
    const { minSize, maxSize, desiredCapacity, vpcZoneIdentifiers } = inputs;
    const desired = Number(desiredCapacity ?? minSize);
    refuseUnless(
      Number(minSize) <= desired && desired <= Number(maxSize),
      `ValidationError: Desired capacity:${desired} must be between the specified min size:${minSize} and max size:${maxSize}`,
    );
    refuseUnless(
      isList(vpcZoneIdentifiers) && vpcZoneIdentifiers.length > 0,
      "ValidationError: At least one Availability Zone or VPC Subnet is required.",
    );
    const policy = object(inputs.mixedInstancesPolicy);
    const { launchTemplateSpecification, overrides } = object(
      policy.launchTemplate,
    );
    const { launchTemplateId, version } = object(launchTemplateSpecification);
    const template = await files.get(String(launchTemplateId));
    refuseUnless(
      template !== undefined &&
        Number(version) <= Number(template.latestVersion) &&
        Number(version) > 0,
      `ValidationError: You must use a valid fully-formed launch template. The specified launch template, with template ID ${launchTemplateId}, does not exist.`,
    );
    const types = list(overrides).map(({ instanceType }) =>
      String(instanceType),
    );
    refuseUnless(types.length > 0, "ValidationError: no instance type");
    const isNested =
      object(template?.cpuOptions).nestedVirtualization === "enabled";
    refuseUnless(
      !isNested || types.every((type) => nestedTypes.test(type)),
      `UnsupportedOperation: nested virtualization is not supported by ${types.join(", ")}`,
    );
    const { onDemandPercentageAboveBaseCapacity, spotAllocationStrategy } =
      object(policy.instancesDistribution);
    refuseUnless(
      [0, 100].includes(Number(onDemandPercentageAboveBaseCapacity)) &&
        [
          "lowest-price",
          "capacity-optimized",
          "capacity-optimized-prioritized",
          "price-capacity-optimized",
        ].includes(String(spotAllocationStrategy)),
      "ValidationError: instancesDistribution",
    );
  },
});

const scheduleKind = kind("autoscaling/schedule", "Schedule", {
  updatable: [
    "desiredCapacity",
    "maxSize",
    "minSize",
    "recurrence",
    "timeZone",
  ],
  computed: [
    "desiredCapacity",
    "endTime",
    "maxSize",
    "minSize",
    "recurrence",
    "startTime",
  ],
  outputs: ["arn"],
  idOf: (_cloud, { autoscalingGroupName, scheduledActionName }) =>
    `${autoscalingGroupName}/${scheduledActionName}`,
  outputsOf: (id) => ({ arn: arnOf("autoscaling", id) }),
  async refuse({ autoscalingGroupName, recurrence, timeZone }, files) {
    refuseUnless(
      (await files.get(String(autoscalingGroupName))) !== undefined,
      "ValidationError: AutoScalingGroup name not found",
    );
    refuseUnless(
      isNumericCron(String(recurrence)),
      `ValidationError: Given recurrence string:${recurrence} is invalid`,
    );
    refuseUnless(
      timeZone === "UTC" ||
        Intl.supportedValuesOf("timeZone").includes(String(timeZone)),
      `ValidationError: The time zone ${timeZone} is not valid`,
    );
  },
});

export const machineKinds = [
  ["aws:autoscaling/group:Group", groupKind],
  ["aws:autoscaling/schedule:Schedule", scheduleKind],
  ["aws:ec2/launchTemplate:LaunchTemplate", launchTemplateKind],
  ["aws:ec2/securityGroup:SecurityGroup", securityGroupKind],
  ["aws:iam/instanceProfile:InstanceProfile", instanceProfileKind],
] as const;
