/**
 * Stands for the provider plugin of @pulumi/azure-native: the few resource types that this project declares, kept in
 * files. What Azure refuses is refused. The real plugin is a download of hundreds of megabytes.
 */

import { readFileSync } from "node:fs";
import { projectPath } from "../../../infra/projectPaths.ts";
import { serve } from "../pluginServer.ts";
import { AzureCloud } from "./cloud.ts";
import { galleryKinds, shapes } from "./galleries.ts";
import { machineKinds } from "./machines.ts";

const { version } = JSON.parse(
  readFileSync(
    projectPath("node_modules/@pulumi/azure-native/package.json"),
    "utf8",
  ),
) as { version: string };

await serve({
  version,
  shapes,
  configShape: shapes.ofResource("provider", "Provider"),
  connect: (config) => new AzureCloud(config),
  defaults: () => ({}),
  kinds: new Map([...galleryKinds, ...machineKinds]),
});
