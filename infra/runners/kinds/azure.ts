/** Machines in Azure: a scale set. */

import { createHash } from "node:crypto";
import { VirtualMachineScaleSet } from "@pulumi/azure-native/compute/virtualMachineScaleSet.js";
import { Secret } from "@pulumi/azure-native/keyvault/secret.js";
import { Vault } from "@pulumi/azure-native/keyvault/vault.js";
import { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/userAssignedIdentity.js";
import { AutoscaleSetting } from "@pulumi/azure-native/monitor/autoscaleSetting.js";
import { NetworkSecurityGroup } from "@pulumi/azure-native/network/networkSecurityGroup.js";
import * as pulumi from "@pulumi/pulumi";
import { azureProvider } from "../../azure/provider.ts";
import {
  hostTags,
  type MachineKind,
  type MachineScope,
} from "../machineKind.ts";
import type { AzureHostConfig } from "../runnerHostsConfig.ts";
import { cloudConfig, encodedUserData } from "../userData.ts";

/** Custom data that Azure takes, before base64 (learn.microsoft.com, "Custom data and cloud-init on Azure Virtual Machines"). */
const customDataBytes = 64 * 1024;

/** Names of vaults are those of the whole world, and have 24 characters at most. */
const vaultHashCharacters = 16;

export const machines: MachineKind<AzureHostConfig> = {
  declare(scope) {
    const { name, host, config, parent } = scope;
    const { resourceGroup: resourceGroupName, location } = config;
    const provider = azureProvider(`${name}-azure`, config, { parent });
    const child = { parent, provider };
    const where = { resourceGroupName, location, tags: hostTags(scope) };
    const identity = new UserAssignedIdentity(`${name}-identity`, where, child);
    const group = new NetworkSecurityGroup(
      `${name}-security-group`,
      { ...where, securityRules: [noIngress] },
      child,
    );
    const customData = declareTokens(scope, identity, where, child).apply(
      (script) => encodedUserData(host, cloudConfig(script), customDataBytes),
    );
    const scaleSet = new VirtualMachineScaleSet(
      `${name}-scale-set`,
      {
        ...where,
        sku: {
          name: config.size,
          tier: "Standard",
          capacity: config.machines.max,
        },
        orchestrationMode: "Uniform",
        overprovision: false,
        upgradePolicy: { mode: "Manual" },
        identity: {
          type: "UserAssigned",
          userAssignedIdentities: [identity.id],
        },
        ...(config.spot
          ? { spotRestorePolicy: { enabled: true, restoreTimeout: "PT1H" } }
          : {}),
        virtualMachineProfile: profileOf(scope, customData, group.id),
      },
      {
        ...child,
        // With this upgrade policy no machine that there is becomes another.
        replaceOnChanges: ["virtualMachineProfile", "sku.name"],
        ...(config.hours === undefined
          ? {}
          : { ignoreChanges: ["sku.capacity"] }),
      },
    );
    declareHours(scope, scaleSet, where, child);
    return customData.apply((data) =>
      createHash("sha256").update(data).digest("hex"),
    );
  },
};

const noIngress = {
  name: "nobody",
  priority: 100,
  direction: "Inbound",
  access: "Deny",
  protocol: "*",
  sourceAddressPrefix: "*",
  sourcePortRange: "*",
  destinationAddressPrefix: "*",
  destinationPortRange: "*",
};

interface Where {
  readonly resourceGroupName: string;
  readonly location: string;
  readonly tags: Record<string, string>;
}

/** A vault that nobody but the machines reads, and the script that reads it. */
function declareTokens(
  { name, host, stack, config, tokens, script }: MachineScope<AzureHostConfig>,
  identity: UserAssignedIdentity,
  where: Where,
  child: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const hash = createHash("sha256")
    .update([config.subscription, config.resourceGroup, stack, host].join("\n"))
    .digest("hex")
    .slice(0, vaultHashCharacters);
  const vault = new Vault(
    `${name}-vault`,
    {
      ...where,
      vaultName: `runner-${hash}`,
      properties: {
        tenantId: identity.tenantId,
        sku: { family: "A", name: "standard" },
        enableRbacAuthorization: false,
        // The shortest that there is: until then its name belongs to what was deleted.
        softDeleteRetentionInDays: 7,
        accessPolicies: [
          {
            tenantId: identity.tenantId,
            objectId: identity.principalId,
            permissions: { secrets: ["get"] },
          },
        ],
      },
    },
    child,
  );
  const { resourceGroupName } = where;
  const secret = new Secret(
    `${name}-tokens`,
    {
      resourceGroupName,
      vaultName: vault.name,
      secretName: "runners",
      properties: { value: tokens },
    },
    // Only the vault's own policies let one delete it, and they let nobody.
    { ...child, deletedWith: vault },
  );
  // The address has no secret in it, though it comes with one.
  const address = pulumi.unsecret(
    secret.properties.apply(({ secretUriWithVersion }) => secretUriWithVersion),
  );
  return pulumi
    .all([address, identity.clientId])
    .apply(([secretAddress, clientId]) =>
      script({ kind: "azure", name: secretAddress, identity: clientId }),
    );
}

function profileOf(
  { host, config }: MachineScope<AzureHostConfig>,
  customData: pulumi.Output<string>,
  securityGroup: pulumi.Output<string>,
) {
  const [publisher = "", offer = "", sku = "", version = ""] =
    config.image.split(":");
  // Not "operator", which is a group of Debian's.
  const user = "runneradmin";
  return {
    osProfile: {
      computerNamePrefix: `runner-${host}`,
      adminUsername: user,
      customData,
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: {
          publicKeys: [
            {
              path: `/home/${user}/.ssh/authorized_keys`,
              keyData: config.sshKey,
            },
          ],
        },
      },
    },
    storageProfile: {
      imageReference: { publisher, offer, sku, version },
      osDisk: {
        createOption: "FromImage",
        diskSizeGB: config.diskGiB,
        managedDisk: { storageAccountType: "Premium_LRS" },
      },
    },
    networkProfile: {
      networkInterfaceConfigurations: [
        {
          name: "network",
          primary: true,
          networkSecurityGroup: { id: securityGroup },
          ipConfigurations: [
            {
              name: "address",
              subnet: { id: config.subnet },
              ...(config.publicAddress
                ? {
                    publicIPAddressConfiguration: {
                      name: "public",
                      sku: { name: "Standard", tier: "Regional" },
                    },
                  }
                : {}),
            },
          ],
        },
      ],
    },
    ...(config.spot
      ? {
          priority: "Spot",
          evictionPolicy: "Delete",
          // Up to the price of machines that are not spot.
          billingProfile: { maxPrice: -1 },
        }
      : {}),
  };
}

/** By the number of a day in a crontab. */
const dayNames = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
] as const;

function declareHours(
  { name, config }: MachineScope<AzureHostConfig>,
  scaleSet: VirtualMachineScaleSet,
  where: Where,
  child: pulumi.CustomResourceOptions,
): void {
  const { hours, machines } = config;
  if (hours === undefined) return;
  const { from, to, days, timezone } = hours;
  const profile = (profileName: string, hour: number, count: number) => ({
    name: profileName,
    capacity: {
      minimum: String(count),
      maximum: String(count),
      default: String(count),
    },
    rules: [],
    recurrence: {
      frequency: "Week" as const,
      schedule: {
        timeZone: timezone,
        days: days.map((day) => dayNames[day] as string),
        hours: [hour],
        minutes: [0],
      },
    },
  });
  new AutoscaleSetting(
    `${name}-hours`,
    {
      ...where,
      enabled: true,
      targetResourceUri: scaleSet.id,
      profiles: [
        profile("hours", from, machines.max),
        // A profile holds until the next one begins; Azure's own tools name the one after it so.
        profile('{"name":"outside","for":"hours"}', to, machines.min),
      ],
    },
    child,
  );
}
