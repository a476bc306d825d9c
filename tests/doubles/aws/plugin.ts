/**
 * Stands for the provider plugin of @pulumi/aws: the few resource types that this project declares, forwarded to moto.
 *
 * What moto drops is kept, and what AWS refuses is refused. The real plugin is a download of hundreds of megabytes.
 */

import { serve } from "../pluginServer.ts";
import type { Shape } from "../shapes.ts";
import { bucketKinds } from "./buckets.ts";
import { AwsCloud } from "./cloud.ts";
import {
  openIdConnectProviderKind,
  roleKind,
  rolePolicyKind,
} from "./identity.ts";
import { amiCopyKind, amiKind } from "./images.ts";
import { launchPermissionKind } from "./launchPermission.ts";
import { machineKinds } from "./machines.ts";
import { parameterKind } from "./parameter.ts";
import { packageVersion, shapes } from "./shapes.ts";

await serve({
  version: packageVersion,
  shapes,
  configShape: shapes.ofResource("provider", "Provider"),
  connect: (config) => new AwsCloud(config),
  defaults: (cloud: AwsCloud, shape: Shape) =>
    shape.has("region") ? { region: cloud.region } : {},
  kinds: new Map([
    ["aws:ec2/ami:Ami", amiKind],
    ["aws:ec2/amiCopy:AmiCopy", amiCopyKind],
    ["aws:ec2/amiLaunchPermission:AmiLaunchPermission", launchPermissionKind],
    ["aws:ssm/parameter:Parameter", parameterKind],
    ["aws:iam/role:Role", roleKind],
    ["aws:iam/rolePolicy:RolePolicy", rolePolicyKind],
    [
      "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
      openIdConnectProviderKind,
    ],
    ...bucketKinds,
    ...machineKinds,
  ]),
});
