import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { Verification } from "../../store/records.ts";
import type { GceImageInputs } from "./gceImageProvider.ts";

/**
 * An image of Compute Engine, proven to be made from the published file, and recorded; in no family until it is promoted.
 * Why it is not one of @pulumi/gcp: docs/decisions/0020-images-of-compute-engine.md.
 */
export class GceImage extends ModuleResource {
  /** None when the image failed and was allowed to; so are the next ones. */
  declare readonly imageName: pulumi.Output<string | undefined>;
  /** Compute Engine's own number for it. */
  declare readonly imageId: pulumi.Output<string | undefined>;
  declare readonly verification: pulumi.Output<Verification | undefined>;
  /** What went over the network in the last run that made it. */
  declare readonly sentBytes: pulumi.Output<number>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<GceImageInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/gce/gceImageProvider.ts",
      name,
      args,
      ["imageName", "imageId", "verification", "sentBytes", "problems"],
      options,
      ["platforms", "GceImage"],
    );
  }
}
