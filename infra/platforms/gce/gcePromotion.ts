import type * as pulumi from "@pulumi/pulumi";
import { type InputsOf, ModuleResource } from "../../dynamic/provider.ts";
import type { GcePromotionInputs } from "./gcePromotionProvider.ts";

/** The newest image of a definition in a project: its family leads to it, and those before it are deprecated. */
export class GcePromotion extends ModuleResource {
  /** What a refresh found wrong; empty when all is well. */
  declare readonly problems: pulumi.Output<string[]>;

  constructor(
    name: string,
    args: InputsOf<GcePromotionInputs>,
    options?: pulumi.CustomResourceOptions,
  ) {
    super(
      "platforms/gce/gcePromotionProvider.ts",
      name,
      args,
      ["problems"],
      options,
      ["platforms", "GcePromotion"],
    );
  }
}
