/** Machines of Compute Engine and what they need: kept in files, with what Google refuses of them. */

import { isNumericCron } from "../cron.ts";
import { type KeptDetails, keptKind, refuseUnless } from "../keptKind.ts";
import { ResourceFiles } from "../resourceFiles.ts";
import type { ResourceKind } from "../resourceKind.ts";
import type { DeclaredShapes } from "../shapes.ts";
import { isList, isObject, type Properties, type Value } from "../values.ts";
import type { GcpCloud } from "./cloud.ts";

/** Names the directory in which the resources are kept. */
export const gcpStateVariable = "CLOUD_IMAGES_DOUBLE_GCP_STATE";

function object(value: Value | undefined): Properties {
  return isObject(value) ? value : {};
}

/** The first of a list, as Terraform's providers have what there is one of. */
function first(value: Value | undefined): Properties {
  return isList(value) ? object(value[0]) : object(value);
}

/** RFC 1035, as Compute Engine wants names. */
function requireName(value: Value | undefined): void {
  refuseUnless(
    /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(String(value)),
    `googleapi: Error 400: Invalid value for field 'resource.name': '${value}'`,
  );
}

function requireLabels(labels: Value | undefined): void {
  for (const [key, value] of Object.entries(object(labels))) {
    refuseUnless(
      /^[a-z][a-z0-9_-]{0,62}$/.test(key) &&
        /^[a-z0-9_-]{0,63}$/.test(String(value)),
      `googleapi: Error 400: Invalid label ${key}: ${value}`,
    );
  }
}

/** Names of machines are the base and five more characters. */
const baseNameCharacters = 58;

export function machineKinds(
  shapes: DeclaredShapes,
): readonly (readonly [string, ResourceKind<GcpCloud>])[] {
  const kind = (
    module: string,
    name: string,
    details: Omit<KeptDetails<GcpCloud>, "shape" | "files">,
  ): readonly [string, ResourceKind<GcpCloud>] => [
    `gcp:${module}:${name}`,
    keptKind<GcpCloud>({
      shape: shapes.ofResource(module, name),
      files: () => ResourceFiles.ofEnvironment(gcpStateVariable),
      ...details,
    }),
  ];
  return [
    kind("serviceaccount/account", "Account", {
      updatable: ["description", "displayName", "disabled"],
      computed: ["project"],
      outputs: ["email", "member", "name", "uniqueId"],
      idOf: ({ project }, { accountId }) =>
        `projects/${project}/serviceAccounts/${accountId}@${project}.iam.gserviceaccount.com`,
      outputsOf: (id) => ({ email: id.split("/").at(-1), name: id }),
      refuse({ accountId }) {
        refuseUnless(
          /^[a-z]([a-z0-9-]{4,28}[a-z0-9])$/.test(String(accountId)),
          `"account_id" ("${accountId}") doesn't match regexp`,
        );
      },
    }),
    kind("compute/firewall", "Firewall", {
      nameProperty: "name",
      updatable: [
        "allows",
        "denies",
        "description",
        "priority",
        "sourceRanges",
      ],
      computed: ["project", "direction"],
      outputs: ["selfLink"],
      idOf: ({ project }, { name }) =>
        `projects/${project}/global/firewalls/${name}`,
      outputsOf: (id) => ({ selfLink: id }),
      refuse({ name, allows, denies, sourceTags, targetTags, priority }) {
        requireName(name);
        refuseUnless(
          (allows === undefined) !== (denies === undefined),
          "one of `allow,deny` must be specified",
        );
        refuseUnless(
          sourceTags === undefined && targetTags === undefined,
          "googleapi: Error 400: tags and service accounts exclude each other",
        );
        refuseUnless(
          Number(priority) >= 0 && Number(priority) <= 65_535,
          "googleapi: Error 400: priority",
        );
      },
    }),
    kind("secretmanager/secret", "Secret", {
      updatable: ["labels", "annotations"],
      computed: ["project"],
      outputs: ["name", "createTime"],
      idOf: ({ project }, { secretId }) =>
        `projects/${project}/secrets/${secretId}`,
      outputsOf: (id) => ({ name: id }),
      refuse({ secretId, labels }) {
        refuseUnless(
          /^[\w-]{1,255}$/.test(String(secretId)),
          `googleapi: Error 400: The provided Secret ID [${secretId}] does not match the expected format`,
        );
        requireLabels(labels);
      },
    }),
    kind("secretmanager/secretVersion", "SecretVersion", {
      updatable: ["enabled"],
      outputs: ["name", "version"],
      idOf: (_cloud, { secret, secretData }) =>
        `${secret}/versions/${String(secretData).length}`,
      outputsOf: (id) => ({ name: id, version: id.split("/").at(-1) }),
      async refuse({ secret }, files) {
        refuseUnless(
          (await files.get(String(secret))) !== undefined,
          `googleapi: Error 404: Secret [${secret}] not found`,
        );
      },
    }),
    kind("secretmanager/secretIamMember", "SecretIamMember", {
      computed: ["project"],
      outputs: ["etag"],
      idOf: (_cloud, { secretId, role, member }) =>
        `${secretId}/${role}/${member}`,
      async refuse({ secretId, role, member }, files, { project }) {
        refuseUnless(
          /^roles\/[\w.]+$/.test(String(role)) &&
            (await files.get(String(secretId))) !== undefined,
          "googleapi: Error 400: role or secret",
        );
        const [type, email] = String(member).split(":");
        const account = `projects/${project}/serviceAccounts/${email}`;
        refuseUnless(
          type === "serviceAccount" && (await files.get(account)) !== undefined,
          `googleapi: Error 400: Service account ${email} does not exist.`,
        );
      },
    }),
    kind("compute/instanceTemplate", "InstanceTemplate", {
      nameProperty: "name",
      computed: ["project", "region"],
      outputs: ["selfLink", "selfLinkUnique", "metadataFingerprint"],
      idOf: ({ project }, { name }) =>
        `projects/${project}/global/instanceTemplates/${name}`,
      outputsOf: (id) => ({ selfLink: id, selfLinkUnique: `${id}?uniqueId=1` }),
      refuse(inputs) {
        requireName(inputs.name);
        requireLabels(inputs.labels);
        const { enableNestedVirtualization } = first(
          inputs.advancedMachineFeatures,
        );
        refuseUnless(
          enableNestedVirtualization !== true ||
            !/^(e2|n2d|t2|c3d|c4a|m\d)-/.test(String(inputs.machineType)),
          `googleapi: Error 400: Nested virtualization is not supported by ${inputs.machineType}`,
        );
        refuseUnless(
          /^(n4|c4|c4a|c4d|n4d)-/.test(String(inputs.machineType)) ===
            (first(inputs.disks).diskType === "hyperdisk-balanced"),
          `googleapi: Error 400: [${first(inputs.disks).diskType}] features are not compatible for creating instance.`,
        );
        const { provisioningModel, preemptible, automaticRestart } = first(
          inputs.scheduling,
        );
        refuseUnless(
          provisioningModel !== "SPOT" ||
            (preemptible === true && automaticRestart === false),
          "googleapi: Error 400: Scheduling must have preemptible be true and automaticRestart be false when provisioningModel is SPOT",
        );
      },
    }),
    kind("compute/regionInstanceGroupManager", "RegionInstanceGroupManager", {
      nameProperty: "name",
      updatable: ["versions", "targetSize", "updatePolicy", "waitForInstances"],
      computed: ["project", "region", "targetSize", "distributionPolicyZones"],
      outputs: ["instanceGroup", "selfLink", "fingerprint"],
      idOf: ({ project }, { region, name }) =>
        `projects/${project}/regions/${region}/instanceGroupManagers/${name}`,
      outputsOf: (id, { targetSize }, before) => ({
        selfLink: id,
        targetSize: targetSize ?? before?.targetSize ?? 0,
      }),
      async refuse(inputs, files) {
        requireName(inputs.name);
        refuseUnless(
          String(inputs.baseInstanceName).length <= baseNameCharacters,
          "googleapi: Error 400: baseInstanceName",
        );
        const [version] = isList(inputs.versions) ? inputs.versions : [];
        const template = String(object(version).instanceTemplate);
        refuseUnless(
          (await files.get(template.replace(/\?.*/, ""))) !== undefined,
          `googleapi: Error 404: The resource '${template}' was not found`,
        );
        const { maxSurgeFixed, maxUnavailableFixed } = first(
          inputs.updatePolicy,
        );
        refuseUnless(
          first(inputs.updatePolicy).instanceRedistributionType !== "NONE" ||
            inputs.targetSize !== undefined,
          "googleapi: Error 400: Autoscaling is not supported for a regional group with instanceRedistributionType NONE",
        );
        const zones = isList(inputs.distributionPolicyZones)
          ? inputs.distributionPolicyZones.length
          : 3;
        const isRight = (count: Value | undefined) =>
          Number(count) === 0 || Number(count) >= zones;
        refuseUnless(
          isRight(maxSurgeFixed) &&
            isRight(maxUnavailableFixed) &&
            Number(maxSurgeFixed) + Number(maxUnavailableFixed) > 0,
          "googleapi: Error 400: Fixed updatePolicy.maxUnavailable for regional managed instance group has to be either 0 or at least equal to the number of zones.",
        );
      },
    }),
    kind("compute/regionAutoscaler", "RegionAutoscaler", {
      nameProperty: "name",
      updatable: ["autoscalingPolicy"],
      computed: ["project", "region"],
      outputs: ["selfLink"],
      idOf: ({ project }, { region, name }) =>
        `projects/${project}/regions/${region}/autoscalers/${name}`,
      outputsOf: (id) => ({ selfLink: id }),
      async refuse({ target, autoscalingPolicy }, files) {
        refuseUnless(
          (await files.get(String(target))) !== undefined,
          `googleapi: Error 404: ${target}`,
        );
        const policy = first(autoscalingPolicy);
        const schedules = isList(policy.scalingSchedules)
          ? policy.scalingSchedules.map(object)
          : [];
        for (const {
          schedule,
          durationSec,
          minRequiredReplicas,
        } of schedules) {
          refuseUnless(
            isNumericCron(String(schedule)) &&
              Number(durationSec) >= 300 &&
              Number(minRequiredReplicas) <= Number(policy.maxReplicas),
            `googleapi: Error 400: scalingSchedules: ${schedule}`,
          );
        }
      },
    }),
  ];
}
