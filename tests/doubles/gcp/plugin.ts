/**
 * Stands for the provider plugin of @pulumi/gcp: who may use an image, forwarded to what stands for Google Cloud, and
 * machines, kept in files.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectPath } from "../../../infra/projectPaths.ts";
import { serve } from "../pluginServer.ts";
import { DeclaredShapes, type Shape } from "../shapes.ts";
import { GcpCloud } from "./cloud.ts";
import { imageIamBindingKind } from "./imageIamBinding.ts";
import { machineKinds } from "./machines.ts";

const directory = projectPath("node_modules/@pulumi/gcp");
const shapes = new DeclaredShapes(directory);
const { version } = JSON.parse(
  readFileSync(join(directory, "package.json"), "utf8"),
) as { version: string };

await serve({
  version,
  shapes,
  configShape: shapes.ofResource("provider", "Provider"),
  connect: (config) => new GcpCloud(config),
  defaults: (cloud: GcpCloud, shape: Shape) =>
    shape.has("project") ? { project: cloud.project } : {},
  kinds: new Map([
    [
      "gcp:compute/imageIamBinding:ImageIamBinding",
      imageIamBindingKind(
        shapes.ofResource("compute/imageIamBinding", "ImageIamBinding"),
      ),
    ],
    ...machineKinds(shapes),
  ]),
});
