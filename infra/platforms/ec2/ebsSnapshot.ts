import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { Verification } from "../../store/records.ts";
import type { EbsSnapshotInputs } from "./ebsSnapshotProvider.ts";

/** An image's disk as a snapshot in a region of EC2, read back and found to be the image. */
export class EbsSnapshot extends ModuleResource {
  /** None when the image failed and was allowed to; so are the next ones. */
  declare readonly snapshotId: pulumi.Output<string | undefined>;
  /** The smallest volume that can be made from it. */
  declare readonly volumeSizeGiB: pulumi.Output<number | undefined>;
  /** How it was compared with the image. */
  declare readonly verification: pulumi.Output<Verification | undefined>;
  /** What went over the network in the last run that made it. */
  declare readonly sentBytes: pulumi.Output<number>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<EbsSnapshotInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/ec2/ebsSnapshotProvider.ts",
      name,
      args,
      ["snapshotId", "volumeSizeGiB", "verification", "sentBytes", "problems"],
      options,
      ["platforms", "EbsSnapshot"],
    );
  }
}
