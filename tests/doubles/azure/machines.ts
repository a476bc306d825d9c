/** Machines of Azure and what they need: kept in files, with what Azure refuses of them. */

import { regions } from "../../../infra/azure/regions.ts";
import { type KeptDetails, keptKind } from "../keptKind.ts";
import type { ResourceKind } from "../resourceKind.ts";
import { isList, isObject, type Properties, type Value } from "../values.ts";
import { type AzureCloud, RefusedByAzure } from "./cloud.ts";
import { shapes } from "./galleries.ts";

function refuseUnless(isRight: boolean, message: string): void {
  if (!isRight) throw new RefusedByAzure(400, "InvalidParameter", message);
}

function object(value: Value | undefined): Properties {
  return isObject(value) ? value : {};
}

function list(value: Value | undefined): readonly Properties[] {
  return isList(value) ? value.map(object) : [];
}

const guid = "00000000-1111-2222-3333-444444444444";

function kind(
  module: string,
  name: string,
  path: (inputs: Properties) => string,
  details: Omit<KeptDetails<AzureCloud>, "shape" | "files" | "idOf">,
): readonly [string, ResourceKind<AzureCloud>] {
  const { refuse, outputs = [], outputsOf, ...rest } = details;
  return [
    `azure-native:${module.split("/")[0]}:${name}`,
    keptKind<AzureCloud>({
      shape: shapes.ofResource(module, name),
      files: (cloud) => cloud.files,
      idOf: ({ subscription }, inputs) =>
        `/subscriptions/${subscription}/resourceGroups/${inputs.resourceGroupName}/providers/${path(inputs)}`,
      outputs: ["name", ...outputs],
      outputsOf: (id, inputs, before) => ({
        name: id.split("/").at(-1),
        ...outputsOf?.(id, inputs, before),
      }),
      async refuse(inputs, files, cloud) {
        await cloud.reach();
        const { location } = inputs;
        refuseUnless(
          location === undefined ||
            (regions as readonly string[]).includes(String(location)),
          `The provided location '${location}' is not available.`,
        );
        await refuse?.(inputs, files, cloud);
      },
      ...rest,
    }),
  ];
}

/** What Azure takes as custom data, decoded. */
const customDataBytes = 65_536;

function refuseSchedule(profile: Properties): void {
  const { minimum, maximum, default: usual } = object(profile.capacity);
  for (const each of [minimum, maximum, usual]) {
    refuseUnless(/^\d+$/.test(String(each)), `capacity '${each}'`);
  }
  const { timeZone, days, hours, minutes } = object(
    object(profile.recurrence).schedule,
  );
  refuseUnless(
    timeZone === "UTC" || / Standard Time$/.test(String(timeZone)),
    `The time zone '${timeZone}' is not supported.`,
  );
  refuseUnless(
    isList(days) && days.every((day) => /^[A-Z][a-z]+day$/.test(String(day))),
    "days",
  );
  refuseUnless(
    isList(hours) && hours.length === 1 && isList(minutes),
    "hours and minutes must be one each",
  );
}

export const machineKinds = [
  kind(
    "managedidentity/userAssignedIdentity",
    "UserAssignedIdentity",
    ({ resourceName }) =>
      `Microsoft.ManagedIdentity/userAssignedIdentities/${resourceName}`,
    {
      nameProperty: "resourceName",
      updatable: ["tags"],
      outputs: ["clientId", "principalId", "tenantId"],
      outputsOf: () => ({ clientId: guid, principalId: guid, tenantId: guid }),
    },
  ),
  kind(
    "network/networkSecurityGroup",
    "NetworkSecurityGroup",
    ({ networkSecurityGroupName }) =>
      `Microsoft.Network/networkSecurityGroups/${networkSecurityGroupName}`,
    {
      nameProperty: "networkSecurityGroupName",
      updatable: ["securityRules", "tags"],
      refuse({ securityRules }) {
        for (const { priority } of list(securityRules)) {
          refuseUnless(
            Number(priority) >= 100 && Number(priority) <= 4096,
            `Security rule has invalid priority ${priority}`,
          );
        }
      },
    },
  ),
  kind(
    "keyvault/vault",
    "Vault",
    ({ vaultName }) => `Microsoft.KeyVault/vaults/${vaultName}`,
    {
      nameProperty: "vaultName",
      updatable: ["properties", "tags"],
      async remove(id, files) {
        for (const each of await files.all()) {
          if (String(each.id).startsWith(`${id}/`)) {
            await files.remove(String(each.id));
          }
        }
      },
      refuse({ vaultName }) {
        refuseUnless(
          /^[a-z](?!.*--)[a-z0-9-]{1,22}[a-z0-9]$/.test(String(vaultName)),
          `VaultNameNotValid: ${vaultName}`,
        );
      },
    },
  ),
  kind(
    "keyvault/secret",
    "Secret",
    ({ vaultName, secretName }) =>
      `Microsoft.KeyVault/vaults/${vaultName}/secrets/${secretName}`,
    {
      nameProperty: "secretName",
      async remove() {
        const message = "The user does not have secrets delete permission";
        throw new RefusedByAzure(403, "Forbidden", message);
      },
      updatable: ["properties", "tags"],
      outputsOf: (_id, { vaultName, secretName, properties }, before) => {
        const uri = `https://${vaultName}.vault.azure.net/secrets/${secretName}`;
        const number = Number(object(before?.properties).number ?? 0) + 1;
        return {
          properties: {
            ...object(properties),
            number,
            secretUri: uri,
            secretUriWithVersion: `${uri}/${String(number).padStart(32, "0")}`,
          },
        };
      },
    },
  ),
  kind(
    "compute/virtualMachineScaleSet",
    "VirtualMachineScaleSet",
    ({ vmScaleSetName }) =>
      `Microsoft.Compute/virtualMachineScaleSets/${vmScaleSetName}`,
    {
      nameProperty: "vmScaleSetName",
      updatable: [
        ...["sku", "spotRestorePolicy", "tags", "upgradePolicy"],
        "virtualMachineProfile",
      ],
      refuse({ vmScaleSetName, identity, virtualMachineProfile, sku }) {
        refuseUnless(
          /^[\w.-]{1,64}$/.test(String(vmScaleSetName)),
          `The scale set name '${vmScaleSetName}' is invalid.`,
        );
        refuseUnless(
          Number.isInteger(object(sku).capacity) &&
            Number(object(sku).capacity) >= 0,
          "sku.capacity",
        );
        const { type, userAssignedIdentities } = object(identity);
        refuseUnless(
          type === "UserAssigned" && isList(userAssignedIdentities),
          "identity",
        );
        const profile = object(virtualMachineProfile);
        const { customData, linuxConfiguration } = object(profile.osProfile);
        const decoded = Buffer.from(String(customData), "base64");
        refuseUnless(
          decoded.toString("base64") === customData &&
            decoded.length <= customDataBytes,
          "Custom data in OSProfile must be in Base64 encoding and with a maximum length of 87380 characters.",
        );
        refuseUnless(
          object(object(linuxConfiguration).ssh).publicKeys !== undefined,
          "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        );
        const addresses = list(
          object(profile.networkProfile).networkInterfaceConfigurations,
        ).flatMap(({ ipConfigurations }) => list(ipConfigurations));
        for (const { publicIPAddressConfiguration: address } of addresses) {
          refuseUnless(
            address === undefined ||
              object(object(address).sku).name === "Standard",
            "Basic SKU public IP addresses are retired.",
          );
        }
        const { priority, evictionPolicy, billingProfile } = profile;
        refuseUnless(
          priority === "Spot" ||
            (evictionPolicy === undefined && billingProfile === undefined),
          "Eviction policy can be set only on Azure Spot Virtual Machines.",
        );
      },
    },
  ),
  kind(
    "monitor/autoscaleSetting",
    "AutoscaleSetting",
    ({ autoscaleSettingName }) =>
      `Microsoft.Insights/autoscaleSettings/${autoscaleSettingName}`,
    {
      nameProperty: "autoscaleSettingName",
      computed: ["name"],
      updatable: ["enabled", "profiles", "tags"],
      async refuse({ targetResourceUri, profiles }, files) {
        refuseUnless(
          (await files.get(String(targetResourceUri))) !== undefined,
          `The resource '${targetResourceUri}' is not found.`,
        );
        for (const profile of list(profiles)) refuseSchedule(profile);
      },
    },
  ),
];
