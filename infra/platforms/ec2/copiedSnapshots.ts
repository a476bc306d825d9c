import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { CopiedSnapshotsInputs } from "./copiedSnapshotsProvider.ts";

/**
 * The snapshots that EC2 makes for a copied AMI: declared before the copy, and so removed after it. @pulumi/aws tries
 * once to delete them, right after it deregistered the AMI, when EC2 may still take them for used.
 */
export class CopiedSnapshots extends ModuleResource {
  constructor(
    name: string,
    args: InputsOf<CopiedSnapshotsInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super("platforms/ec2/copiedSnapshotsProvider.ts", name, args, [], options, [
      "platforms",
      "CopiedSnapshots",
    ]);
  }
}
