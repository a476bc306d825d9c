/** Machines in EC2: a launch template and a group of it. */

import { Group } from "@pulumi/aws/autoscaling/group.js";
import { Schedule } from "@pulumi/aws/autoscaling/schedule.js";
import { LaunchTemplate } from "@pulumi/aws/ec2/launchTemplate.js";
import { SecurityGroup } from "@pulumi/aws/ec2/securityGroup.js";
import { InstanceProfile } from "@pulumi/aws/iam/instanceProfile.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import { Parameter } from "@pulumi/aws/ssm/parameter.js";
import * as pulumi from "@pulumi/pulumi";
import {
  partitionOf,
  policyDocument,
} from "../../aws/account/policyDocument.ts";
import { awsProvider } from "../../aws/provider.ts";
import {
  hostTags,
  type MachineKind,
  type MachineScope,
} from "../machineKind.ts";
import type { Ec2HostConfig } from "../runnerHostsConfig.ts";
import { cloudConfig, encodedUserData } from "../userData.ts";

/** User data that EC2 takes, before base64 (EC2 user guide, "Run commands when you launch an EC2 instance with user data input"). */
const userDataBytes = 16 * 1024;

/** The root device of Debian's AMIs and ours. */
const rootDevice = "/dev/xvda";

export const machines: MachineKind<Ec2HostConfig> = {
  declare(scope) {
    const { name, config, host, parent } = scope;
    const provider = awsProvider(`${name}-aws`, config, { parent });
    const child = { parent, provider };
    const tags = hostTags(scope);
    const profile = declareProfile(scope, child);
    const group = new SecurityGroup(
      `${name}-security-group`,
      {
        description: `Runner host ${host}: nobody connects to it`,
        vpcId: config.vpc,
        ingress: [],
        egress: [
          {
            protocol: "-1",
            fromPort: 0,
            toPort: 0,
            cidrBlocks: ["0.0.0.0/0"],
            ipv6CidrBlocks: ["::/0"],
          },
        ],
        tags,
      },
      child,
    );
    const isNested =
      config.kvm && !config.instanceTypes.some((type) => /\.metal/.test(type));
    const template = new LaunchTemplate(
      `${name}-template`,
      {
        imageId: config.image,
        iamInstanceProfile: { arn: profile.arn },
        userData: profile.script.apply((script) =>
          encodedUserData(host, cloudConfig(script), userDataBytes),
        ),
        // Version 2 alone, and not through a container's or a guest's network.
        metadataOptions: {
          httpEndpoint: "enabled",
          httpTokens: "required",
          httpPutResponseHopLimit: 1,
        },
        ...(isNested
          ? { cpuOptions: { nestedVirtualization: "enabled" } }
          : {}),
        networkInterfaces: [
          {
            deviceIndex: 0,
            associatePublicIpAddress: String(config.publicAddress),
            deleteOnTermination: "true",
            securityGroups: [group.id],
          },
        ],
        blockDeviceMappings: [
          {
            deviceName: rootDevice,
            ebs: {
              volumeSize: config.diskGiB,
              volumeType: "gp3",
              encrypted: "true",
              deleteOnTermination: "true",
            },
          },
        ],
        tagSpecifications: ["instance", "volume"].map((resourceType) => ({
          resourceType,
          tags: { ...tags, Name: name },
        })),
        updateDefaultVersion: true,
        tags,
      },
      child,
    );
    declareGroup(scope, template, child);
    return pulumi.interpolate`${template.id} ${template.latestVersion}`;
  },
};

/** What the machines may do in the account: read their runners' tokens, and use their cache. */
function declareProfile(
  scope: MachineScope<Ec2HostConfig>,
  child: pulumi.CustomResourceOptions,
): {
  readonly arn: pulumi.Output<string>;
  readonly script: pulumi.Output<string>;
} {
  const { name, host, stack, config, tokens, script } = scope;
  const tags = hostTags(scope);
  const parameter = new Parameter(
    `${name}-tokens`,
    {
      name: `/cloud-images/${stack}/runners/${host}`,
      description: `Tokens of the runner host ${host}`,
      type: "SecureString",
      value: tokens,
      tags,
    },
    child,
  );
  const role = new Role(
    `${name}-role`,
    {
      description: `Machines of the runner host ${host}`,
      assumeRolePolicy: JSON.stringify(
        policyDocument([
          {
            Sid: "Machines",
            Effect: "Allow",
            Principal: { Service: "ec2.amazonaws.com" },
            Action: "sts:AssumeRole",
          },
        ]),
      ),
      tags,
    },
    child,
  );
  const { cache, region } = config;
  const policy = new RolePolicy(
    `${name}-policy`,
    {
      role: role.name,
      policy: parameter.arn.apply((arn) =>
        JSON.stringify(
          policyDocument([
            {
              Sid: "Tokens",
              Effect: "Allow",
              Action: "ssm:GetParameter",
              Resource: [arn],
            },
            ...(cache === undefined
              ? []
              : [
                  {
                    Sid: "Cache",
                    Effect: "Allow" as const,
                    Action: ["s3:GetObject", "s3:PutObject"],
                    Resource: [
                      `arn:${partitionOf(region)}:s3:::${cache.bucket}/*`,
                    ],
                  },
                ]),
          ]),
        ),
      ),
    },
    child,
  );
  const profile = new InstanceProfile(
    `${name}-profile`,
    { role: role.name, tags },
    // No machine comes up before it may read its tokens.
    { ...child, dependsOn: [policy] },
  );
  return {
    arn: profile.arn,
    // With the version, so that new tokens make new machines.
    script: pulumi
      .all([parameter.name, parameter.version])
      .apply(([parameterName, version]) =>
        script({ kind: "ec2", name: `${parameterName}:${version}`, region }),
      ),
  };
}

function declareGroup(
  scope: MachineScope<Ec2HostConfig>,
  template: LaunchTemplate,
  child: pulumi.CustomResourceOptions,
): void {
  const { name, config } = scope;
  const { hours, machines, spot, subnets, instanceTypes } = config;
  const group = new Group(
    `${name}-group`,
    {
      minSize: machines.min,
      maxSize: machines.max,
      ...(hours === undefined ? { desiredCapacity: machines.max } : {}),
      vpcZoneIdentifiers: subnets,
      mixedInstancesPolicy: {
        launchTemplate: {
          launchTemplateSpecification: {
            launchTemplateId: template.id,
            version: template.latestVersion.apply(String),
          },
          overrides: instanceTypes.map((instanceType) => ({ instanceType })),
        },
        instancesDistribution: {
          onDemandAllocationStrategy: "prioritized",
          onDemandPercentageAboveBaseCapacity: spot ? 0 : 100,
          spotAllocationStrategy: "price-capacity-optimized",
        },
      },
      // Another template replaces all machines at once: GitLab starts their jobs again elsewhere.
      instanceRefresh: {
        strategy: "Rolling",
        preferences: { minHealthyPercentage: 0 },
      },
      capacityRebalance: spot,
      // Whether its machines work is for GitLab to say, and shows in drift.
      waitForCapacityTimeout: "0",
      tags: Object.entries(hostTags(scope)).map(([key, value]) => ({
        ...{ key, value, propagateAtLaunch: true },
      })),
    },
    child,
  );
  if (hours === undefined) return;
  const { from, to, days, timezone } = hours;
  const times = [
    ["start", from, machines.max],
    ["end", to, machines.min],
  ] as const;
  for (const [action, hour, desiredCapacity] of times) {
    new Schedule(
      `${name}-${action}`,
      {
        autoscalingGroupName: group.name,
        scheduledActionName: action,
        recurrence: `0 ${hour} * * ${days.join(",")}`,
        timeZone: timezone,
        desiredCapacity,
        // As they are.
        minSize: -1,
        maxSize: -1,
      },
      child,
    );
  }
}
