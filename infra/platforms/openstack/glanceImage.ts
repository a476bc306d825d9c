import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { Verification } from "../../store/records.ts";
import type { GlanceImageInputs } from "./glanceImageProvider.ts";

/** An image in a cloud's Glance, proven to be what was built, and recorded; hidden until it is promoted. */
export class GlanceImage extends ModuleResource {
  /** None when the image failed and was allowed to; so are the next ones. */
  declare readonly imageId: pulumi.Output<string | undefined>;
  /** 128 hex digits, as Glance itself has them. */
  declare readonly sha512: pulumi.Output<string | undefined>;
  declare readonly verification: pulumi.Output<Verification | undefined>;
  /** What went over the network in the last run that made it. */
  declare readonly sentBytes: pulumi.Output<number>;
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<GlanceImageInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/openstack/glanceImageProvider.ts",
      name,
      args,
      ["imageId", "sha512", "verification", "sentBytes", "problems"],
      options,
      ["platforms", "GlanceImage"],
    );
  }
}
