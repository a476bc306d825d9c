import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { AmiRecordInputs } from "./amiRecordProvider.ts";

/** The record of an AMI in the store: written when it is there and holds the published disk. */
export class AmiRecord extends ModuleResource {
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<AmiRecordInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/ec2/amiRecordProvider.ts",
      name,
      args,
      ["problems"],
      options,
      ["platforms", "AmiRecord"],
    );
  }
}
