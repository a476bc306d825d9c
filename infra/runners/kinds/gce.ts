/** Machines in Compute Engine: an instance template and a regional group of it. */

import { Firewall } from "@pulumi/gcp/compute/firewall.js";
import { InstanceTemplate } from "@pulumi/gcp/compute/instanceTemplate.js";
import { RegionAutoscaler } from "@pulumi/gcp/compute/regionAutoscaler.js";
import { RegionInstanceGroupManager } from "@pulumi/gcp/compute/regionInstanceGroupManager.js";
import { Secret } from "@pulumi/gcp/secretmanager/secret.js";
import { SecretIamMember } from "@pulumi/gcp/secretmanager/secretIamMember.js";
import { SecretVersion } from "@pulumi/gcp/secretmanager/secretVersion.js";
import { Account } from "@pulumi/gcp/serviceaccount/account.js";
import * as pulumi from "@pulumi/pulumi";
import { googleProvider } from "../../google/provider.ts";
import {
  hostTags,
  type MachineKind,
  type MachineScope,
} from "../machineKind.ts";
import type { GceHostConfig } from "../runnerHostsConfig.ts";
import { cloudConfig, startupScript } from "../userData.ts";

/** Zones that a region has unless somebody says which to use: what a regional group may have away at once is no less. */
const usualZones = 3;

/** Series that take no persistent disks (Compute Engine, "Hyperdisk machine type support"): of the fourth generation. */
const hyperdiskMachine = /^[cn]4[a-z]*-/;

/** Before any rule that a network has for all of its machines (those that one makes by hand have 1000). */
const firewallPriority = 0;

export const machines: MachineKind<GceHostConfig> = {
  declare(scope) {
    const { name, host, config, parent } = scope;
    const provider = googleProvider(`${name}-gcp`, config, { parent });
    const child = { parent, provider };
    const account = new Account(
      `${name}-account`,
      {
        accountId: `runner-${host}`,
        displayName: `Machines of the runner host ${host}`,
      },
      child,
    );
    new Firewall(
      `${name}-firewall`,
      {
        description: `Runner host ${host}: nobody connects to it`,
        network: config.network,
        direction: "INGRESS",
        priority: firewallPriority,
        denies: [{ protocol: "all" }],
        sourceRanges: ["0.0.0.0/0"],
        targetServiceAccounts: [account.email],
      },
      child,
    );
    const template = declareTemplate(scope, account, child);
    declareGroup(scope, template, child);
    return template.selfLinkUnique;
  },
};

/** The script, once the machines may read what it asks for. */
function declareTokens(
  { name, host, stack, tokens, script, trust }: MachineScope<GceHostConfig>,
  account: Account,
  child: pulumi.CustomResourceOptions,
): {
  readonly script: pulumi.Output<string>;
  readonly reader: SecretIamMember;
} {
  const secret = new Secret(
    `${name}-tokens`,
    {
      secretId: `cloud-images-${stack.replaceAll(".", "_")}-runner-${host}`,
      replication: { auto: {} },
      labels: hostTags({ host, stack, trust }),
    },
    child,
  );
  const version = new SecretVersion(
    `${name}-tokens-version`,
    { secret: secret.id, secretData: tokens },
    child,
  );
  const reader = new SecretIamMember(
    `${name}-tokens-reader`,
    {
      secretId: secret.id,
      role: "roles/secretmanager.secretAccessor",
      member: pulumi.interpolate`serviceAccount:${account.email}`,
    },
    child,
  );
  return {
    reader,
    script: version.name.apply((versionName) =>
      script({ kind: "gce", name: versionName }),
    ),
  };
}

function declareTemplate(
  scope: MachineScope<GceHostConfig>,
  account: Account,
  child: pulumi.CustomResourceOptions,
): InstanceTemplate {
  const { name, config } = scope;
  const { boot, diskGiB, kvm, publicAddress, spot } = config;
  const labels = hostTags(scope);
  const { script, reader } = declareTokens(scope, account, child);
  return new InstanceTemplate(
    `${name}-template`,
    {
      machineType: config.machineType,
      region: config.region,
      disks: [
        {
          boot: true,
          autoDelete: true,
          sourceImage: config.image,
          diskSizeGb: diskGiB,
          diskType: hyperdiskMachine.test(config.machineType)
            ? "hyperdisk-balanced"
            : "pd-balanced",
          labels,
        },
      ],
      networkInterfaces: [
        {
          subnetwork: config.subnetwork,
          accessConfigs: publicAddress ? [{ networkTier: "STANDARD" }] : [],
        },
      ],
      advancedMachineFeatures: { enableNestedVirtualization: kvm },
      scheduling: spot
        ? {
            provisioningModel: "SPOT",
            preemptible: true,
            automaticRestart: false,
            instanceTerminationAction: "DELETE",
          }
        : { provisioningModel: "STANDARD" },
      serviceAccount: {
        email: account.email,
        // The account's roles say what it may do.
        scopes: ["https://www.googleapis.com/auth/cloud-platform"],
      },
      metadata: script.apply(
        (text): Record<string, string> => ({
          "block-project-ssh-keys": "TRUE",
          "serial-port-enable": "FALSE",
          ...(boot === "cloud-init"
            ? { "user-data": cloudConfig(text) }
            : { "startup-script": startupScript(text) }),
        }),
      ),
      labels,
    },
    { ...child, dependsOn: [reader] },
  );
}

function declareGroup(
  { name, host, config }: MachineScope<GceHostConfig>,
  template: InstanceTemplate,
  child: pulumi.CustomResourceOptions,
): void {
  const { hours, machines, region, zones } = config;
  const group = new RegionInstanceGroupManager(
    `${name}-group`,
    {
      region,
      baseInstanceName: `runner-${host}`,
      versions: [{ instanceTemplate: template.selfLinkUnique }],
      ...(hours === undefined ? { targetSize: machines.max } : {}),
      ...(zones === undefined ? {} : { distributionPolicyZones: zones }),
      updatePolicy: {
        type: "PROACTIVE",
        minimalAction: "REPLACE",
        maxSurgeFixed: 0,
        maxUnavailableFixed: zones?.length ?? usualZones,
        // A machine that moves to another zone ends its jobs; but a regional group with an autoscaler takes nothing else.
        instanceRedistributionType: hours === undefined ? "NONE" : "PROACTIVE",
      },
      waitForInstances: false,
    },
    child,
  );
  if (hours === undefined) return;
  const { from, to, days, timezone } = hours;
  new RegionAutoscaler(
    `${name}-autoscaler`,
    {
      region,
      target: group.id,
      autoscalingPolicy: {
        minReplicas: machines.min,
        maxReplicas: machines.max,
        // Some signal there has to be; with this one, no machine comes for it, and busy ones stay a little longer.
        cpuUtilization: { target: 1 },
        scalingSchedules: [
          {
            name: "hours",
            minRequiredReplicas: machines.max,
            schedule: `0 ${from} * * ${days.join(",")}`,
            durationSec: (to - from) * 3600,
            timeZone: timezone,
          },
        ],
      },
    },
    child,
  );
}
